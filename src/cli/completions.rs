//! `dropwire completions`: the shell's completion script, which asks the running dropwire for live names.

use clap::CommandFactory;
use clap_complete::Shell;

use super::Cli;
use super::client::Client;
use super::failure::{Done, Failure};
use super::list;
use super::replay::last_events;
use super::voice::Voice;

/// For which shell.
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  dropwire completions bash > ~/.local/share/bash-completion/completions/dropwire
  dropwire completions zsh  > ~/.zfunc/_dropwire
  dropwire completions fish > ~/.config/fish/completions/dropwire.fish")]
pub struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// The words before the cursor, without the program's name and without the one being typed.
#[derive(Debug, clap::Args)]
pub struct Words {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// How many events are offered.
const EVENTS_MAX: u32 = 30;

/// Falls back to the static script's function where no live name fits.
const BASH: &str = r#"
_dropwire_live() {
    local cur="${COMP_WORDS[COMP_CWORD]}" names
    if [[ "$cur" != -* ]] && names="$(dropwire complete -- "${COMP_WORDS[@]:1:COMP_CWORD-1}" 2>/dev/null)" && [[ -n "$names" ]]; then
        COMPREPLY=($(compgen -W "$names" -- "$cur"))
    else
        _dropwire "$@"
    fi
}
complete -F _dropwire_live -o nosort -o bashdefault -o default dropwire
"#;

const ZSH: &str = r#"
_dropwire_live() {
    local -a names
    names=(${(f)"$(dropwire complete -- ${words[2,CURRENT-1]} 2>/dev/null)"})
    if (( ${#names} )) && [[ "${words[CURRENT]}" != -* ]]; then
        compadd -a names
    else
        _dropwire "$@"
    fi
}
compdef _dropwire_live dropwire
"#;

const FISH: &str = r#"
complete -c dropwire -f -a '(dropwire complete -- (commandline -opc)[2..] 2>/dev/null)'
"#;

/// What live names can follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Live {
    Listed(&'static str),
    Events,
}

/// Prints the script.
pub fn run(voice: &Voice, args: Args) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "dropwire", &mut script);
    let mut script = String::from_utf8_lossy(&script).into_owned();
    script.push_str(match args.shell {
        Shell::Bash => BASH,
        Shell::Zsh => ZSH,
        Shell::Fish => FISH,
        _ => "",
    });
    voice.print(&script)?;
    Ok(0)
}

/// Prints the live names that fit after these words; nothing where none do, or where no dropwire runs.
pub async fn complete(voice: &Voice, words: Words) -> Done {
    let words: Vec<&str> = words.words.iter().map(String::as_str).collect();
    if let Some(live) = live(&words)
        && let Ok(client) = Client::find(&voice.dir).await
        && let Ok(names) = names(&client, live).await
    {
        voice.print(&names.iter().map(|name| format!("{name}\n")).collect::<String>())?;
    }
    Ok(0)
}

async fn names(client: &Client, live: Live) -> Result<Vec<String>, Failure> {
    match live {
        Live::Events => last_events(client, EVENTS_MAX, false).await,
        Live::Listed(kind) => {
            let end = if kind == "buckets" { "/" } else { "" };
            let listed = list::fetch(client, kind).await?;
            Ok(listed.into_iter().map(|one| one.name + end).collect())
        }
    }
}

fn live(words: &[&str]) -> Option<Live> {
    match words {
        [.., "--to" | "--fn" | "--missing"] => Some(Live::Listed("functions")),
        ["invoke" | "logs"] => Some(Live::Listed("functions")),
        ["show" | "why" | "replay"] => Some(Live::Events),
        ["fire", "s3"] => Some(Live::Listed("buckets")),
        ["fire", "table"] => Some(Live::Listed("tables")),
        ["fire", "topic"] => Some(Live::Listed("topics")),
        ["dead", "list" | "show" | "redrive" | "drop"] => Some(Live::Listed("queues")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &[&str], expected: Option<Live>) {
        assert_eq!(live(words), expected, "{words:?}");
    }

    #[test]
    fn live_names_are_offered_where_they_fit() {
        check(&["invoke"], Some(Live::Listed("functions")));
        check(&["tail", "--failed", "--fn"], Some(Live::Listed("functions")));
        check(&["show"], Some(Live::Events));
        check(&["fire", "topic"], Some(Live::Listed("topics")));
        check(&["fire"], None);
        check(&[], None);
    }
}
