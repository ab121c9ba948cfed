//! Completion in bash, zsh and fish: scripts that ask `hitless complete -- WORDS…`, and what that answers.

use super::complete::{Live, complete, expects_file};
use super::kinds::Source;
use super::pages::OPTIONS;
use super::words::Line;

/// A switch without files: the shell knows them better.
struct NoFiles<'a>(&'a dyn Live);

impl Live for NoFiles<'_> {
    fn values(&self, source: Source) -> Vec<(String, String)> {
        match source {
            Source::Files => Vec::new(),
            source => self.0.values(source),
        }
    }
}

/// What `hitless complete` prints: a line for each candidate, word and meaning with a tab between them; `\tfiles` if
/// names of files can stand there. `arguments` are those of the program up to the cursor,
/// the last being the word that is typed, which may be empty.
pub fn shell_completion<S: AsRef<str>>(arguments: &[S], live: &dyn Live) -> String {
    let mut words: Vec<&str> = Vec::new();
    let mut arguments = arguments.iter().map(AsRef::as_ref).peekable();
    let mut typed = "";
    while let Some(argument) = arguments.next() {
        let last = arguments.peek().is_none();
        let option = OPTIONS.iter().find(|option| option.name == argument);
        match option {
            Some(option) if !last && !option.value.is_empty() => {
                // Its value is no word of the command, and if that is being typed there is nothing to say about it.
                if arguments.next().is_some() && arguments.peek().is_none() {
                    return match option.name {
                        "--socket" => "\tfiles\n".into(),
                        _ => String::new(),
                    };
                }
            }
            Some(_) if !last => {}
            _ if last => typed = argument,
            _ => words.push(argument),
        }
    }
    let mut answer = String::new();
    if typed.starts_with('-') {
        for option in OPTIONS.iter().filter(|o| o.name.starts_with(typed)) {
            answer += &format!("{}\t{}\n", option.name, option.help);
        }
        return answer;
    }
    let mut line = Line::from_arguments(&words).text;
    if !line.is_empty() {
        line.push(' ');
    }
    if expects_file(&line) {
        answer += "\tfiles\n";
    }
    line += &Line::from_arguments(typed_word(typed)).text;
    for candidate in complete(&line, line.len(), &NoFiles(live)).candidates {
        // The shell quotes by its own rules.
        if let Ok(plain) = Line::split(&candidate.text)
            && let [word] = plain.words.as_slice()
            && !word.text.contains(['\t', '\n'])
        {
            let help = candidate.help.replace(['\t', '\n'], " ");
            answer += &format!("{}\t{help}\n", word.text);
        }
    }
    answer
}

fn typed_word(typed: &str) -> Option<&str> {
    (!typed.is_empty()).then_some(typed)
}

/// To be read by bash: `source <(hitless generate bash)`.
pub(super) const BASH: &str = r#"# Completion of hitless for bash: source <(hitless generate bash)
_hitless() {
    local line="${COMP_LINE:0:COMP_POINT}" word words stem=""
    read -ra words <<< "$line"
    # A MAC address is one word to hitless, and several to bash, which breaks words at colons.
    [[ "$line" == *[[:space:]] ]] && words+=("")
    local typed="${words[-1]}"
    [[ "$COMP_WORDBREAKS" == *:* && "$typed" == *:* ]] && stem="${typed%"${typed##*:}"}"
    COMPREPLY=()
    while IFS= read -r line; do
        word="${line%%$'\t'*}"
        if [[ -n "$word" ]]; then
            COMPREPLY+=("$(printf '%q' "${word#"$stem"}")")
        else
            compopt -o default
        fi
    done < <("${words[0]}" complete -- "${words[@]:1}" 2>/dev/null)
}
complete -o nosort -F _hitless hitless
"#;

/// To be put into a file `_hitless` where zsh looks for functions.
pub(super) const ZSH: &str = r#"#compdef hitless
# Completion of hitless for zsh: hitless generate zsh > "${fpath[1]}/_hitless"
_hitless() {
    local -a lines candidates
    local line files=0
    lines=("${(@f)$($words[1] complete -- "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    for line in $lines; do
        if [[ $line == $'\tfiles' ]]; then
            files=1
        elif [[ -n $line ]]; then
            candidates+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
        fi
    done
    (( $#candidates )) && _describe -V command candidates
    (( files )) && _files
}
if [[ $funcstack[1] == _hitless ]]; then
    _hitless "$@"
else
    compdef _hitless hitless
fi
"#;

/// To be put into `completions/hitless.fish` of fish's directory.
pub(super) const FISH: &str = r#"# Completion of hitless for fish: hitless generate fish > ~/.config/fish/completions/hitless.fish
function __hitless_complete
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    for line in ($words[1] complete -- $words[2..-1] "$typed" 2>/dev/null)
        if test "$line" = \tfiles
            __fish_complete_path "$typed"
        else
            echo $line
        end
    end
end
complete -c hitless -f -a '(__hitless_complete)'
"#;
