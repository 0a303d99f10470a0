#include "agent/cli/completion.hpp"

#include <fmt/format.h>

#include <functional>
#include <memory>

#include "agent/base/text.hpp"
#include "agent/cli/commands.hpp"

namespace omnitide::cli {

namespace {

// `path` is how the script knows the command: " registry nodes list", empty for the program itself.
using Visit = std::function<void(const Command&, const std::string& path)>;

void walk(const Command& command, const std::string& path, const Visit& visit) {
  visit(command, path);
  for (const Command& child : command.children())
    walk(child, path + " " + child.name(), visit);
}

std::string paths(const Command& root, std::string_view separator) {
  std::vector<std::string> out;
  walk(root, "", [&out](const Command&, const std::string& path) {
    if (!path.empty()) out.push_back(fmt::format("\"{}\"", path));
  });
  return join(out, separator);
}

std::string words_of(const Command& command) {
  std::vector<std::string> out;
  for (const Command& child : command.children())
    out.push_back(child.name());
  for (const Command::OptionView& view : command.views()) {
    out.insert(out.end(), view.names.begin(), view.names.end());
    // The choices of an argument.
    if (view.names.empty() && view.type.find('|') != std::string::npos) {
      for (const std::string_view word : split(view.type, '|'))
        out.emplace_back(word);
    }
  }
  return join(out, " ");
}

std::string choices(const std::string& type) {
  std::string out = type;
  for (char& c : out) {
    if (c == '|') c = ' ';
  }
  return out;
}

enum class Kind { none, flag, choice, file, folder, other };
Kind kind_of(const Command::OptionView& view) {
  if (view.names.empty()) return Kind::none;
  if (view.type.empty()) return Kind::flag;
  if (view.type.find('|') != std::string::npos) return Kind::choice;
  if (view.type == "FILE") return Kind::file;
  return view.type == "DIR" ? Kind::folder : Kind::other;
}

// The two shells have the same case syntax; `choose`, `files` and `folders` are how each offers words.
std::string cases(const Command& root, const char* choose, const char* files, const char* folders) {
  std::string values, words;
  walk(root, "", [&](const Command& command, const std::string& path) {
    for (const Command::OptionView& view : command.views()) {
      const Kind kind = kind_of(view);
      if (kind == Kind::none || kind == Kind::flag) continue;
      std::vector<std::string> patterns;
      for (const std::string& name : view.names)
        patterns.push_back(fmt::format("\"{}:{}\"", path, name));
      std::string does = ":";
      if (kind == Kind::choice) does = fmt::format(fmt::runtime(choose), choices(view.type));
      if (kind == Kind::file) does = files;
      if (kind == Kind::folder) does = folders;
      values += fmt::format("    {}) {}; return ;;\n", join(patterns, "|"), does);
    }
    words += fmt::format("    \"{}\") {} ;;\n", path, fmt::format(fmt::runtime(choose), words_of(command)));
  });
  return fmt::format("  case \"$at:$previous\" in\n{}  esac\n  case \"$at\" in\n{}  esac\n", values, words);
}

std::string single_quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

}  // namespace

std::string bash_completion(const Command& root) {
  return fmt::format(
      R"(# bash completion of omnitide-agent; made by: omnitide-agent completion bash
_omnitide_agent() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}" at="" word i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="${{COMP_WORDS[i]}}"
    case "$at $word" in
    {}) at="$at $word" ;;
    esac
  done
{}}}
complete -F _omnitide_agent omnitide-agent
)",
      paths(root, "|"),
      cases(root, R"(COMPREPLY=($(compgen -W "{}" -- "$current")))", R"(COMPREPLY=($(compgen -f -- "$current")))",
            R"(COMPREPLY=($(compgen -d -- "$current")))"));
}

std::string zsh_completion(const Command& root) {
  return fmt::format(
      R"(#compdef omnitide-agent
# zsh completion of omnitide-agent; made by: omnitide-agent completion zsh
_omnitide_agent() {{
  local previous="${{words[CURRENT-1]}}" at="" word
  for word in "${{(@)words[2,CURRENT-1]}}"; do
    case "$at $word" in
    {}) at="$at $word" ;;
    esac
  done
{}}}
if [ "$funcstack[1]" = "_omnitide_agent" ]; then
  _omnitide_agent
else
  compdef _omnitide_agent omnitide-agent
fi
)",
      paths(root, "|"), cases(root, "compadd -- {}", "_files", "_files -/"));
}

std::string fish_completion(const Command& root) {
  std::string rows;
  walk(root, "", [&rows](const Command& command, const std::string& path) {
    const std::string head =
        fmt::format("complete -c omnitide-agent -n 'test \"$(__omnitide_agent_at)\" = \"{}\"'", path);
    for (const Command& child : command.children())
      rows += fmt::format("{} -f -a {} -d {}\n", head, child.name(), single_quoted(child.help()));
    for (const Command::OptionView& view : command.views()) {
      if (view.names.empty()) {
        if (view.type.find('|') != std::string::npos)
          rows += fmt::format("{} -f -a {}\n", head, single_quoted(choices(view.type)));
        continue;
      }
      rows += head;
      for (const std::string& name : view.names)
        rows += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      switch (kind_of(view)) {
        case Kind::choice: rows += fmt::format(" -x -a {}", single_quoted(choices(view.type))); break;
        case Kind::file: rows += " -r -F"; break;
        case Kind::folder: rows += " -x -a '(__fish_complete_directories)'"; break;
        case Kind::other: rows += " -x"; break;
        case Kind::none:
        case Kind::flag: rows += " -f"; break;
      }
      rows += "\n";
    }
  });
  return fmt::format(
      R"(# fish completion of omnitide-agent; made by: omnitide-agent completion fish
function __omnitide_agent_at
  set -l at ""
  set -l tokens (commandline -opc)
  for word in $tokens[2..]
    switch "$at $word"
      case {}
        set at "$at $word"
    end
  end
  echo -n $at
end
{})",
      paths(root, " "), rows);
}

void add_completion(Command& root, Session& session) {
  const auto shell = std::make_shared<std::string>();
  Command command = root.add("completion", "A script that completes commands in your shell");
  command.argument("SHELL", *shell, "bash|zsh|fish", "bash, zsh or fish")
      .example(
          "omnitide-agent completion bash > /etc/bash_completion.d/omnitide-agent\n"
          "omnitide-agent completion zsh > /usr/share/zsh/site-functions/_omnitide-agent\n"
          "omnitide-agent completion fish > ~/.config/fish/completions/omnitide-agent.fish")
      .action([&session, shell, root]() {
        if (*shell == "bash") return session.print(bash_completion(root));
        return session.print(*shell == "zsh" ? zsh_completion(root) : fish_completion(root));
      });
}

}  // namespace omnitide::cli
