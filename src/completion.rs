//! `tine completion SHELL`: a script that completes commands and flags, and tool names from the configuration.

use clap::{Arg, ArgMatches, Command, value_parser};
use clap_complete::Shell;

use crate::exit::Exit;
use crate::terminal;

const EXAMPLES: &str = "\
Examples:
  tine completion bash > /usr/share/bash-completion/completions/tine
  tine completion zsh  > /usr/local/share/zsh/site-functions/_tine
  tine completion fish > ~/.config/fish/completions/tine.fish";

/// After `tine call`, `tine tools` and `tine compare`: asks the program for the names. Appended to the generated script.
const BASH: &str = r#"
_tine_with_tools() {
    _tine "$@"
    local current="${COMP_WORDS[COMP_CWORD]}"
    if [[ $COMP_CWORD -eq 2 && ${COMP_WORDS[1]} =~ ^(call|tools|compare)$ && $current != -* ]]; then
        COMPREPLY=( $(compgen -W "$("${COMP_WORDS[0]}" tools --names 2>/dev/null)" -- "$current") )
    fi
}
complete -F _tine_with_tools -o nosort -o bashdefault -o default tine
"#;

const FISH: &str = r#"
complete -c tine -f -n "__fish_seen_subcommand_from call tools compare" -a "(tine tools --names 2>/dev/null)"
"#;

const ZSH: &str = r#"
(( $+functions[_tine_tools] )) || _tine_tools() {
    local names
    names=( ${(f)"$(tine tools --names 2>/dev/null)"} )
    compadd -a names
}
"#;

pub fn command() -> Command {
    Command::new("completion")
        .about("Print a completion script for a shell")
        .arg(
            Arg::new("shell")
                .value_name("SHELL")
                .required(true)
                .value_parser(value_parser!(Shell)),
        )
        .after_help(EXAMPLES)
}

/// `whole` is the whole command line.
pub fn run(matches: &ArgMatches, whole: &mut Command) -> Exit {
    let Some(shell) = matches.get_one::<Shell>("shell") else {
        return Exit::Usage;
    };
    terminal::print(&script(*shell, whole)).map_or(Exit::Internal, |()| Exit::Clean)
}

fn script(shell: Shell, whole: &mut Command) -> String {
    let mut bytes = Vec::new();
    clap_complete::generate(shell, whole, "tine", &mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    match shell {
        Shell::Bash => text + BASH,
        Shell::Fish => text + FISH,
        Shell::Zsh => {
            // clap_complete offers files for a positional without a fixed set of values.
            let lines = text.lines().map(|line| match line.contains(":tool -- ") {
                true => line.replace(":_default'", ":_tine_tools'"),
                false => line.to_owned(),
            });
            let lines: Vec<String> = lines.collect();
            // The functions must stand before the script's last lines, which run the completion.
            let text = lines.join("\n") + "\n";
            match text.split_once('\n') {
                Some((first, rest)) => format!("{first}\n{ZSH}{rest}"),
                None => text,
            }
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_ask_for_tool_names() {
        for shell in [Shell::Bash, Shell::Fish] {
            assert!(
                script(shell, &mut crate::cli::command()).contains("tools --names"),
                "{shell}"
            );
        }
        let zsh = script(Shell::Zsh, &mut crate::cli::command());
        assert!(zsh.starts_with("#compdef tine\n"), "{zsh}");
        assert_eq!(zsh.matches(":_tine_tools'").count(), 3, "{zsh}");
    }
}
