// One command of the tree: its options, arguments, help and action. The parser behind it stays in command.cpp.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace omnitide::cli {

// A handle; copies speak of the same command. The variables that options fill must live until the action has run.
class Command {
 public:
  // "--to" or "-o,--output". `type` names the value in the help: "FILE", "DIR", or choices as "table|json", which are
  // then checked.
  Command& flag(const std::string& names, bool& out, const std::string& help);
  Command& option(const std::string& names, std::string& out, const std::string& type, const std::string& help);
  Command& options(const std::string& names, std::vector<std::string>& out, const std::string& type,
                   const std::string& help);  // may be given several times
  Command& number(const std::string& names, std::uint32_t& out, const std::string& help);
  Command& duration(const std::string& names, std::chrono::milliseconds& out, const std::string& help);
  Command& argument(const std::string& name, std::string& out, const std::string& type, const std::string& help);
  Command& optional_argument(const std::string& name, std::string& out, const std::string& help);
  Command& arguments(const std::string& name, std::vector<std::string>& out, const std::string& help);
  Command& required(const std::string& name);  // of an option
  // Lines for the end of the help, under "Example:".
  Command& example(const std::string& lines);
  Command& footnote(const std::string& text);
  Command& hidden();
  // What the command does, unless one of its own sub-commands is called.
  Command& action(std::function<int()> run);

  [[nodiscard]] Command add(const std::string& name, const std::string& help);  // a sub-command

  // For completion and the manual page.
  struct OptionView {
    std::vector<std::string> names;  // with dashes; empty: an argument
    std::string type;                // empty: a flag
    std::string help;
    std::string argument;  // its name, of an argument
  };
  [[nodiscard]] std::string name() const;
  [[nodiscard]] std::string help() const;
  [[nodiscard]] std::string footer() const;             // examples and footnotes
  [[nodiscard]] std::vector<Command> children() const;  // without hidden ones
  [[nodiscard]] std::vector<OptionView> views() const;

 private:
  friend class CommandTree;
  Command(CLI::App* app, std::function<int()>* chosen) : app_(app), chosen_(chosen) {}
  CLI::App* app_;
  std::function<int()>* chosen_;
};

class CommandTree {
 public:
  // `version` is what --version prints; empty: there is no such option.
  CommandTree(const std::string& program, const std::string& help, const std::string& version = {});
  ~CommandTree();
  CommandTree(const CommandTree&) = delete;
  CommandTree& operator=(const CommandTree&) = delete;

  [[nodiscard]] Command root();

  struct Parsed {
    std::function<int()> action;   // empty when there is nothing more to do
    int exit_code = 0;             // then
    std::string out, error, hint;  // help text for stdout, or what is wrong
  };
  [[nodiscard]] Parsed parse(int argc, const char* const* argv);

 private:
  std::function<int()> chosen_;
  std::unique_ptr<CLI::App> app_;
};

}  // namespace omnitide::cli
