#include "agent/cli/completion.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "agent/base/text.hpp"
#include "agent/cli/commands.hpp"

namespace omnitide::cli {

namespace {

// What a shell shows beside a word.
constexpr std::size_t kLongestHelp = 100;

class Offer {
 public:
  explicit Offer(std::string_view begun) : begun_(begun) {}
  void word(std::string_view word, std::string_view help = {}) {
    if (!word.starts_with(begun_)) return;
    out_ += word;
    if (!help.empty()) out_ += '\t' + printable(help.substr(0, help.find('\n')), kLongestHelp);
    out_ += '\n';
  }
  void values(std::string_view type) {
    if (type == "FILE") out_ += ":files\n";
    if (type == "DIR") out_ += ":folders\n";
    if (type.find('|') == std::string_view::npos) return;
    for (const std::string_view choice : split(type, '|'))
      word(choice);
  }
  [[nodiscard]] std::string take() { return std::move(out_); }

 private:
  std::string_view begun_;
  std::string out_;
};

std::optional<Command> child_of(const Command& command, std::string_view name) {
  for (const Command& child : command.children())
    if (child.name() == name) return child;
  return {};
}

// The type of the value that follows `word`, if one does.
std::optional<std::string> value_after(const Command& command, std::string_view word) {
  if (!word.starts_with('-')) return {};
  for (const Command::OptionView& view : command.views())
    if (!view.type.empty() && std::ranges::find(view.names, word) != view.names.end()) return view.type;
  return {};
}

void offer_all(const Command& command, Offer& offer) {
  for (const Command& child : command.children())
    offer.word(child.name(), child.help());
  for (const Command::OptionView& view : command.views()) {
    if (view.names.empty()) offer.values(view.type);
    for (const std::string& name : view.names)
      offer.word(name, view.help);
  }
}

}  // namespace

std::string complete(const Command& root, std::span<const std::string> words) {
  if (words.empty()) return {};
  Offer offer(words.back());
  Command at = root;
  std::optional<std::string> value;
  for (const std::string& word : words.first(words.size() - 1)) {
    const bool is_value = value.has_value();
    value = is_value ? std::nullopt : value_after(at, word);
    if (is_value || value) continue;
    if (const std::optional<Command> child = child_of(at, word)) at = *child;
  }
  if (value) {
    offer.values(*value);
  } else {
    offer_all(at, offer);
  }
  return offer.take();
}

std::string bash_completion() {
  return R"(# bash completion of omnitide-agent; made by: omnitide-agent completion bash
_omnitide_agent() {
  local current="${COMP_WORDS[COMP_CWORD]}" word
  COMPREPLY=()
  while IFS=$'\t' read -r word _; do
    case "$word" in
    :files) compopt -o filenames 2>/dev/null; mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$current") ;;
    :folders) compopt -o filenames 2>/dev/null; mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -d -- "$current") ;;
    *) COMPREPLY+=("$word") ;;
    esac
  done < <("${COMP_WORDS[0]/#\~/$HOME}" complete -- "${COMP_WORDS[@]:1:COMP_CWORD-1}" "$current" 2>/dev/null)
}
complete -F _omnitide_agent omnitide-agent
)";
}

std::string zsh_completion() {
  return R"(#compdef omnitide-agent
# zsh completion of omnitide-agent; made by: omnitide-agent completion zsh
_omnitide_agent() {
  local line
  local -a offered
  for line in "${(@f)$(_call_program omnitide-agent ${(q)words[1]} complete -- ${(q)words[2,CURRENT-1]} ${(qq)PREFIX})}"; do
    case "$line" in
    '') ;;
    :files) _files ;;
    :folders) _files -/ ;;
    *$'\t'*) offered+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
    *) offered+=("${line//:/\\:}") ;;
    esac
  done
  (( $#offered == 0 )) || _describe omnitide-agent offered
}
if [ "$funcstack[1]" = "_omnitide-agent" ]; then
  _omnitide_agent
else
  compdef _omnitide_agent omnitide-agent
fi
)";
}

std::string fish_completion() {
  return R"(# fish completion of omnitide-agent; made by: omnitide-agent completion fish
function __omnitide_agent_offered
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  for line in ($words[1] complete -- $words[2..] "$current" 2>/dev/null)
    switch $line
      case :files
        __fish_complete_path "$current"
      case :folders
        __fish_complete_directories "$current"
      case '*'
        echo $line
    end
  end
end
complete -c omnitide-agent -f -a '(__omnitide_agent_offered)'
)";
}

void add_completion(Command& root, Session& session) {
  const auto shell = std::make_shared<std::string>();
  Command command = root.add("completion", "A script that completes commands in your shell");
  command.argument("SHELL", *shell, "bash|zsh|fish", "bash, zsh or fish")
      .example(
          "omnitide-agent completion bash > /etc/bash_completion.d/omnitide-agent\n"
          "omnitide-agent completion zsh > /usr/share/zsh/site-functions/_omnitide-agent\n"
          "omnitide-agent completion fish > ~/.config/fish/completions/omnitide-agent.fish")
      .action([&session, shell]() {
        if (*shell == "bash") return session.print(bash_completion());
        return session.print(*shell == "zsh" ? zsh_completion() : fish_completion());
      });
}

void add_complete(Command& root, Session& session) {
  const auto words = std::make_shared<std::vector<std::string>>();
  root.add("complete", "What may stand where the last word is: the scripts of `completion` ask for it")
      .arguments("WORD", *words, "The words of the line, behind --; the last one has begun")
      .hidden()
      .action([&session, words, root]() { return session.print(complete(root, *words)); });
}

}  // namespace omnitide::cli
