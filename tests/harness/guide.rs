//! A manual page as a test reads it: for each heading the commands of its `sh` blocks and the text of its `toml` blocks, as they stand there. Knows
//! nothing of what they do.

use std::fs;

/// What stands below one heading.
#[derive(Debug, Default)]
pub struct Section {
    pub title: String,
    /// One after the other; a here-document belongs to its command.
    pub commands: Vec<String>,
    pub toml: Vec<String>,
}

/// The sections of a page, by its path in the repository.
pub fn sections(page: &str) -> Vec<Section> {
    let path = format!("{}/{page}", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(&path).unwrap_or_else(|fault| panic!("{path}: {fault}"));
    let mut sections = vec![Section::default()];
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let current = sections.last_mut().expect("one at least");
        if let Some(language) = line.strip_prefix("```") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            match language {
                "sh" => current.commands.extend(commands(&block)),
                "toml" => current.toml.push(block.join("\n")),
                other => panic!("{page}: what is {other:?}?"),
            }
        } else if let Some(title) = line.strip_prefix("## ") {
            sections.push(Section {
                title: title.to_owned(),
                ..Section::default()
            });
        }
    }
    sections
}

fn commands(block: &[&str]) -> Vec<String> {
    let mut commands = Vec::new();
    let mut lines = block.iter();
    while let Some(line) = lines.next() {
        let mut command = (*line).to_owned();
        if line.contains("<<'END'") {
            for line in lines.by_ref() {
                command.push('\n');
                command.push_str(line);
                if *line == "END" {
                    break;
                }
            }
        }
        if !command.trim().is_empty() {
            commands.push(command);
        }
    }
    commands
}
