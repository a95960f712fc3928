//! What the demo tells while it prepares, and how a person sees it. Knows nothing of databases.

use std::io::{self, IsTerminal, Write};

/// One thing that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<'a> {
    /// A step begins.
    Step(&'a str),
    /// So many rows of a table were sent so far.
    Rows { table: &'a str, rows: u64 },
    /// A table is complete.
    Table { table: &'a str, rows: u64 },
}

/// Prints to standard error: a growing number on a terminal, a line a table elsewhere.
#[derive(Debug)]
pub struct Printer {
    terminal: bool,
}

impl Default for Printer {
    fn default() -> Printer {
        Printer {
            terminal: io::stderr().is_terminal(),
        }
    }
}

impl Printer {
    pub fn print(&self, progress: Progress) {
        // Nobody is left to tell when standard error is gone.
        let _ = self.write(&mut io::stderr().lock(), progress);
    }

    fn write(&self, out: &mut dyn Write, progress: Progress) -> io::Result<()> {
        match progress {
            Progress::Step(step) => writeln!(out, "{step}"),
            Progress::Table { table, rows } if self.terminal => {
                writeln!(out, "\r  {:>9}  {table}", grouped(rows))
            }
            Progress::Table { table, rows } => writeln!(out, "  {:>9}  {table}", grouped(rows)),
            Progress::Rows { table, rows } if self.terminal => {
                write!(out, "\r  {:>9}  {table}", grouped(rows))?;
                out.flush()
            }
            Progress::Rows { .. } => Ok(()),
        }
    }
}

/// 20000 as 20,000.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn growing_numbers_are_for_terminals_only() {
        let shown = |terminal| {
            let mut out = Vec::new();
            let printer = Printer { terminal };
            for progress in [
                Progress::Step("a"),
                Progress::Rows {
                    table: "t",
                    rows: 1,
                },
                Progress::Table {
                    table: "t",
                    rows: 2,
                },
            ] {
                printer.write(&mut out, progress).unwrap();
            }
            String::from_utf8(out).unwrap()
        };
        assert_eq!(shown(false), "a\n          2  t\n");
        assert_eq!(shown(true), "a\n\r          1  t\r          2  t\n");
    }
}
