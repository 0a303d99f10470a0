#include "agent/cli/command.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <optional>

#include "agent/base/clock.hpp"
#include "agent/base/text.hpp"

namespace omnitide::cli {

namespace {

bool is_choice(std::string_view type) { return type.find('|') != std::string_view::npos; }

std::vector<std::string> choices_of(std::string_view type) {
  std::vector<std::string> out;
  for (const std::string_view choice : split(type, '|'))
    out.emplace_back(choice);
  return out;
}

// Empty when `text` is one of the choices. A validator of our own: CLI11's rewrites the help text.
std::string check_choice(const std::string& type, const std::string& text) {
  const std::vector<std::string> choices = choices_of(type);
  if (std::ranges::find(choices, text) != choices.end()) return {};
  return fmt::format("\"{}\" is not one of {}", printable(text, 80), join(choices, ", "));
}

void describe(CLI::Option* option, const std::string& type) {
  option->type_name(type);
  if (is_choice(type)) {
    option->check(CLI::Validator([type](std::string& text) { return check_choice(type, text); }, "", type));
  }
}

// CLI11 shows options as "NAME TYPE:VALIDATOR ..."; ours need only the type.
class Formatter final : public CLI::Formatter {
 public:
  Formatter() { column_width(30); }
  std::string make_option_opts(const CLI::Option* option) const override {
    std::string out;
    const std::string type = option->get_type_name();
    if (option->get_type_size() != 0 && !type.empty() && option->nonpositional()) out += " " + type;
    if (!option->get_default_str().empty()) out += " (" + option->get_default_str() + ")";
    if (option->get_required() && option->nonpositional()) out += " (required)";
    return out;
  }
};

std::string full_name(const CLI::App* app) {
  return app->get_parent() == nullptr ? app->get_name() : full_name(app->get_parent()) + " " + app->get_name();
}

// The deepest command that the words name.
CLI::App* named(CLI::App* app, int argc, const char* const* argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto found = app->get_subcommands([&word](const CLI::App* child) { return child->get_name() == word; });
    if (!found.empty()) app = found.front();
  }
  return app;
}

// The first word that should be a sub-command of `app` and is none.
std::optional<std::string> unknown_word(const CLI::App* app, int argc, const char* const* argv) {
  if (app->get_subcommands([](const CLI::App*) { return true; }).empty()) return std::nullopt;
  bool below = app->get_parent() == nullptr;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (below && !word.starts_with('-')) return word;
    if (word.starts_with('-')) return std::nullopt;
    if (word == app->get_name()) below = true;
  }
  return std::nullopt;
}

}  // namespace

Command& Command::flag(const std::string& names, bool& out, const std::string& help) {
  app_->add_flag(names, out, help);
  return *this;
}

Command& Command::option(const std::string& names, std::string& out, const std::string& type, const std::string& help) {
  describe(app_->add_option(names, out, help), type);
  return *this;
}

Command& Command::options(const std::string& names, std::vector<std::string>& out, const std::string& type,
                          const std::string& help) {
  CLI::Option* option = app_->add_option(names, out, help);
  option->allow_extra_args(false);
  describe(option, type);
  return *this;
}

Command& Command::number(const std::string& names, std::uint32_t& out, const std::string& help) {
  app_->add_option_function<std::string>(
          names,
          [&out, names](const std::string& text) {
            const auto read = parse_number<std::uint32_t>(text);
            if (!read) throw CLI::ValidationError(names, fmt::format("\"{}\" is not a number", printable(text, 80)));
            out = *read;
          },
          help)
      ->type_name("N");
  return *this;
}

Command& Command::duration(const std::string& names, std::chrono::milliseconds& out, const std::string& help) {
  app_->add_option_function<std::string>(
          names,
          [&out, names](const std::string& text) {
            const auto read = parse_duration(text);
            if (!read) {
              throw CLI::ValidationError(
                  names, fmt::format("\"{}\" is not a duration such as 90s, 10m, 2h or 7d", printable(text, 80)));
            }
            out = *read;
          },
          help)
      ->type_name("DURATION");
  return *this;
}

Command& Command::argument(const std::string& name, std::string& out, const std::string& type,
                           const std::string& help) {
  CLI::Option* option = app_->add_option(name, out, help);
  option->required();
  describe(option, type);
  return *this;
}

Command& Command::optional_argument(const std::string& name, std::string& out, const std::string& help) {
  app_->add_option(name, out, help)->type_name(name);
  return *this;
}

Command& Command::arguments(const std::string& name, std::vector<std::string>& out, const std::string& help) {
  app_->add_option(name, out, help)->required()->type_name(name);
  return *this;
}

Command& Command::required(const std::string& name) {
  app_->get_option(name)->required();
  return *this;
}

Command& Command::example(const std::string& lines) {
  std::string out = app_->get_footer();
  if (!out.empty()) out += "\n\n";
  out += "Example:";
  for (const std::string_view line : split(lines, '\n'))
    out += fmt::format("\n  {}", line);
  app_->footer(out);
  return *this;
}

Command& Command::footnote(const std::string& text) {
  app_->footer(app_->get_footer().empty() ? text : app_->get_footer() + "\n\n" + text);
  return *this;
}

Command& Command::hidden() {
  app_->group("");
  return *this;
}

Command& Command::action(std::function<int()> run) {
  // Callbacks run from the innermost command outwards: the first one to speak is the one that was meant.
  app_->callback([chosen = chosen_, run = std::move(run)] {
    if (!*chosen) *chosen = run;
  });
  return *this;
}

Command Command::add(const std::string& name, const std::string& help) {
  CLI::App* child = app_->add_subcommand(name, help);
  child->footer(std::string());  // the parser hands its own down
  return {child, chosen_};
}

std::string Command::name() const { return app_->get_name(); }
std::string Command::help() const { return app_->get_description(); }
std::string Command::footer() const { return app_->get_footer(); }

std::vector<Command> Command::children() const {
  std::vector<Command> out;
  for (CLI::App* child : app_->get_subcommands([](const CLI::App* app) { return !app->get_group().empty(); }))
    out.push_back(Command(child, chosen_));
  return out;
}

std::vector<Command::OptionView> Command::views() const {
  std::vector<OptionView> out;
  for (const CLI::Option* option : app_->get_options()) {
    OptionView view;
    for (const std::string& name : option->get_snames())
      view.names.push_back("-" + name);
    for (const std::string& name : option->get_lnames())
      view.names.push_back("--" + name);
    if (option->get_type_size() != 0) view.type = option->get_type_name();
    view.help = option->get_description();
    if (view.names.empty()) view.argument = option->get_name();
    out.push_back(std::move(view));
  }
  return out;
}

CommandTree::CommandTree(const std::string& program, const std::string& help, const std::string& version)
    : app_(std::make_unique<CLI::App>(help, program)) {
  app_->formatter(std::make_shared<Formatter>());
  app_->require_subcommand(0, 1);
  app_->set_help_flag("-h,--help", "This text");
  if (!version.empty()) app_->set_version_flag("--version", version, "Version of the program");
}

CommandTree::~CommandTree() = default;

Command CommandTree::root() { return {app_.get(), &chosen_}; }

CommandTree::Parsed CommandTree::parse(int argc, const char* const* argv) {
  Parsed out;
  CLI::App* at = named(app_.get(), argc, argv);
  const std::string name = full_name(at);
  try {
    app_->parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    out.out = at->help(at->get_parent() == nullptr ? "" : full_name(at->get_parent()));
    if (!out.out.ends_with('\n')) out.out += '\n';
    return out;
  } catch (const CLI::CallForVersion& asked) {
    out.out = fmt::format("{}\n", asked.what());
    return out;
  } catch (const CLI::ParseError& problem) {
    out.exit_code = 2;
    if (const auto word = unknown_word(at, argc, argv);
        word && problem.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError)) {
      std::vector<std::string> known;
      for (const Command& child : Command(at, &chosen_).children())
        known.push_back(child.name());
      const std::string_view near = nearest(*word, known);
      out.error = fmt::format("there is no command \"{}\"", printable(*word, 80));
      out.hint = near.empty() ? fmt::format("{} --help", name) : fmt::format("did you mean {} {}?", name, near);
    } else {
      out.error = printable(trim(problem.what()), 400);
      out.hint = fmt::format("{} --help", name);
    }
    return out;
  }
  if (!chosen_) {
    out.exit_code = 2;
    out.error = "a command is missing";
    out.hint = fmt::format("{} --help", name);
    return out;
  }
  out.action = chosen_;
  return out;
}

}  // namespace omnitide::cli
