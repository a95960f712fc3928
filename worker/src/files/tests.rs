//! A real folder, read, sealed, taken away, and read again from the record.

use std::fs;
use std::os::unix::fs::symlink;

use super::*;

struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("tine-files-{}-{test}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Every kind of question, with its answer as text.
fn ask(files: &Files, folder: &Path) -> Vec<String> {
    let mut answers = Vec::new();
    let odd = folder.join(OsStr::from_bytes(b"odd-\xff.sql"));
    for name in ["text", "bytes", "escapes", "missing", "inner", "loop"] {
        let path = folder.join(name);
        answers.push(format!("{:?}", files.read(&path)));
        answers.push(format!("{:?}", files.text(&path)));
        answers.push(format!("{:?}", files.folder(&path)));
        answers.push(format!("{:?}", files.exists(&path)));
        answers.push(format!("{:?}", files.canonical(&path)));
    }
    answers.push(format!("{:?}", files.read(&odd)));
    answers.push(format!("{:?}", files.folder(folder)));
    answers.push(format!("{:?}", files.read(Path::new("with\0nul"))));
    let noon = "2026-07-01T12:00Z".parse::<jiff::Timestamp>().unwrap();
    for zone in ["europe/paris", "Utc", "Nowhere/Land", "../passwd"] {
        let found = files.zone(zone);
        answers.push(format!(
            "{:?}",
            found.map(|zone| noon.to_zoned(zone).to_string())
        ));
    }
    let roots = files.system_roots().map(|roots| {
        let bytes: usize = roots.iter().map(|root| root.len()).sum();
        (roots.len(), bytes)
    });
    answers.push(format!("{roots:?}"));
    answers.push(format!("{:?}", files.user()));
    answers
}

#[test]
fn a_record_answers_as_the_disk_did() {
    let folder = Folder::new("record");
    folder.write("text", "Élan\n\t\"x\"\r\n");
    folder.write("bytes", b"\xff\x00\xfe");
    folder.write("escapes", "\u{1}\u{2}");
    let odd = folder.0.join(OsStr::from_bytes(b"odd-\xff.sql"));
    fs::write(&odd, "SELECT 1").unwrap();
    fs::create_dir(folder.0.join("inner")).unwrap();
    symlink("loop", folder.0.join("loop")).unwrap();
    symlink("inner", folder.0.join("link")).unwrap();

    let disk = Files::disk();
    let first = ask(&disk, &folder.0);
    let snapshot = disk.snapshot();
    assert!(first.iter().any(|answer| answer.contains("Europe/Paris")));
    assert!(first.contains(&format!(
        "{:?}",
        Ok::<_, FileError>(b"\xff\x00\xfe".to_vec())
    )));
    assert!(first.contains(&format!("{:?}", Err::<String, _>(FileError::NotUtf8))));
    assert!(first.contains(&format!("{:?}", Err::<String, _>(FileError::System(40)))));
    let listed = disk.folder(&folder.0).unwrap();
    let kinds = listed.iter().map(|entry| {
        let name = entry.path.file_name().unwrap().to_string_lossy();
        (name.into_owned(), entry.kind)
    });
    let expected = [
        ("bytes", Kind::File),
        ("escapes", Kind::File),
        ("inner", Kind::Folder),
        ("link", Kind::Folder),
        ("loop", Kind::Other),
        ("odd-\u{fffd}.sql", Kind::File),
        ("text", Kind::File),
    ];
    let expected = expected.map(|(name, kind)| (name.to_owned(), kind));
    assert_eq!(kinds.collect::<Vec<_>>(), expected);

    let path = folder.0.clone();
    drop(folder);
    assert!(!path.exists());
    assert_eq!(ask(&disk, &path), first, "nothing is read twice");
    let held = Files::held(&snapshot).unwrap();
    assert_eq!(ask(&held, &path), first);
    assert_eq!(held.snapshot(), snapshot);
    assert_ne!(ask(&Files::disk(), &path), first);
}

#[test]
fn errors_read_as_the_systems() {
    let files = Files::disk();
    let missing = Path::new("/no/such");
    let own = fs::read(missing).unwrap_err().to_string();
    assert_eq!(files.read(missing).unwrap_err().to_string(), own);
    let folder = Folder::new("errors");
    let bytes = folder.write("bytes", b"\xff");
    let own = fs::read_to_string(&bytes).unwrap_err().to_string();
    assert_eq!(files.text(&bytes).unwrap_err().to_string(), own);
    let nul = Path::new("a\0b");
    let own = fs::read(nul).unwrap_err().to_string();
    assert_eq!(files.read(nul).unwrap_err().to_string(), own);
}

#[test]
fn what_was_never_asked_is_not_known() {
    let held = Files::held(&Files::disk().snapshot()).unwrap();
    let path = Path::new("/etc/passwd");
    let unknown = [
        held.read(path).map(|_| ()),
        held.text(path).map(|_| ()),
        held.folder(Path::new("/")).map(|_| ()),
        held.exists(path).map(|_| ()),
        held.canonical(path).map(|_| ()),
        held.zone("Europe/Paris").map(|_| ()),
        held.system_roots().map(|_| ()),
        held.user().map(|_| ()),
    ];
    for answer in unknown {
        assert_eq!(answer, Err(FileError::Unrecorded));
    }
}

#[test]
fn every_amount_is_bounded() {
    let folder = Folder::new("limits");
    let limits = Limits {
        file: 1000,
        total: 3000,
    };
    let (most, more) = (
        folder.write("most", [b'x'; 1000]),
        folder.write("more", [b'x'; 1001]),
    );
    let files = Files::new(false, Record::default(), limits);
    assert_eq!(files.read(&most).unwrap().len(), 1000);
    let large = FileError::FileTooLarge { limit: 1000 };
    assert_eq!(files.read(&more), Err(large.clone()));
    // Endless, and without a size.
    assert_eq!(files.read(Path::new("/dev/zero")), Err(large));
    files.read(&folder.write("second", [b'x'; 1000])).unwrap();
    let third = folder.write("third", [b'x'; 1000]);
    let much = FileError::TooMuch { limit: 3000 };
    assert_eq!(files.read(&third), Err(much.clone()));
    assert_eq!(
        files.read(&most).unwrap().len(),
        1000,
        "what was read stays"
    );
    let files = Files::new(false, Record::default(), limits);
    for number in 0..50 {
        folder.write(&format!("{number}"), "");
    }
    assert_eq!(files.folder(&folder.0), Err(much));
    for file in [FILE_LIMIT, TOTAL_LIMIT] {
        let error = FileError::FileTooLarge { limit: file };
        assert_eq!(
            error.to_string(),
            format!("it is larger than {} MiB", file >> 20)
        );
    }
}

#[test]
fn other_bytes_are_no_record() {
    let snapshot = Files::disk().snapshot();
    let text = String::from_utf8(snapshot.clone()).unwrap();
    let newer = text.replace("\"version\":1", "\"version\":7");
    assert_eq!(
        Files::held(newer.as_bytes()).unwrap_err(),
        SnapshotError::Version { found: 7, known: 1 }
    );
    let base64 = text.replace("\"files\":[]", r#""files":[["a",{"Ok":{"base64":"?"}}]]"#);
    assert_ne!(base64, text);
    let short = snapshot.get(..snapshot.len() - 1).unwrap();
    for bytes in [b"".as_slice(), b"{}", b"\xff", short, base64.as_bytes()] {
        let fault = Files::held(bytes).unwrap_err();
        assert!(matches!(fault, SnapshotError::Malformed(_)), "{fault}");
    }
}

/// Files come and go while a folder is read: each reading is whole, or an error that says what was gone.
#[test]
fn a_folder_that_changes_meanwhile_is_no_crash() {
    let folder = Folder::new("race");
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let _ = fs::write(folder.0.join("a"), "whole");
                let _ = fs::create_dir(folder.0.join("b"));
                let _ = fs::remove_file(folder.0.join("a"));
                let _ = fs::remove_dir(folder.0.join("b"));
            }
        });
        for _ in 0..500 {
            let files = Files::disk();
            let found = files.folder(&folder.0).unwrap();
            for entry in &found {
                let read = files.read(&entry.path);
                let list = files.folder(&entry.path);
                let told = (&read, &list);
                assert!(
                    matches!(
                        told,
                        (
                            Ok(_) | Err(FileError::System(_)),
                            Ok(_) | Err(FileError::System(_))
                        )
                    ),
                    "{told:?}"
                );
            }
            let held = Files::held(&files.snapshot()).unwrap();
            assert_eq!(held.folder(&folder.0), Ok(found));
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}
