#include "agent/config/health_checks.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>

#include "agent/base/clock.hpp"
#include "agent/base/text.hpp"
#include "agent/config/reading.hpp"

namespace omnitide::config {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t kLongestName = 40, kLongestWord = 63, kLongestText = 256, kMostArguments = 64,
                      kLongestArgument = 4096;

// Reads the values of one check; every problem is said at the field's own place.
class CheckReader {
 public:
  CheckReader(const Value& value, std::string field, Problems& problems)
      : value_(value), field_(std::move(field)), problems_(problems) {}

  HealthCheckConfig read() {
    if (value_.kind != Value::Kind::map) {
      add(problems_, value_, field_, fmt::format("is {}, not a check", kind_name(value_)),
          "give one such as {name: web, http: \"http://127.0.0.1/\"}");
      return out_;
    }
    for (const Entry& entry : value_.entries)
      take(entry);
    if (out_.name.empty() && !named_) say(value_, "name", "is missing", "give each check a name");
    if (kinds_ == 0) say(value_, "", "says not what to look at", "one of command, http, tcp, grpc and file");
    if (kinds_ > 1) say(value_, "", "looks at several things", "only one of command, http, tcp, grpc and file");
    check_together();
    if (out_.condition.empty()) out_.condition = condition_of(out_.name);
    return out_;
  }

 private:
  using Take = void (CheckReader::*)(const Value&);

  void take(const Entry& entry) {
    static const std::vector<std::pair<std::string, Take>> known{
        {"name", &CheckReader::read_name},         {"command", &CheckReader::read_command},
        {"http", &CheckReader::read_url},          {"tcp", &CheckReader::read_address},
        {"grpc", &CheckReader::read_grpc},         {"service", &CheckReader::read_service},
        {"file", &CheckReader::read_file},         {"status", &CheckReader::read_status},
        {"body", &CheckReader::read_body},         {"ca_file", &CheckReader::read_ca_file},
        {"max_age", &CheckReader::read_max_age},   {"interval", &CheckReader::read_interval},
        {"timeout", &CheckReader::read_timeout},   {"failures", &CheckReader::read_failures},
        {"successes", &CheckReader::read_success}, {"condition", &CheckReader::read_condition},
        {"reason", &CheckReader::read_reason},     {"message", &CheckReader::read_message},
        {"tls", &CheckReader::read_tls},           {"certificate", &CheckReader::read_certificate},
        {"key_file", &CheckReader::read_key_file}, {"server_name", &CheckReader::read_server_name}};
    const auto found = std::ranges::find(known, entry.key, &std::pair<std::string, Take>::first);
    if (found != known.end()) {
      at_ = entry.key;
      (this->*found->second)(entry.value);
      return;
    }
    std::vector<std::string> names;
    for (const auto& each : known)
      names.push_back(each.first);
    say(entry.value, printable(entry.key, 60), "is not known of a check", choice_hint(entry.key, names));
  }

  void say(const Value& value, const std::string& name, std::string message, std::string hint) {
    add(problems_, value, name.empty() ? field_ : field_ + "." + name, std::move(message), std::move(hint));
  }
  // Runs one of the common readers and puts the field in front of what it says.
  void with_field(const std::function<void(Problems&)>& read) {
    Problems own;
    read(own);
    for (Problem& problem : own) {
      problem.field = fmt::format("{}.{}{}", field_, at_, problem.field);
      problems_.push_back(std::move(problem));
    }
  }
  std::optional<std::string> text_of(const Value& value, std::string_view right, std::size_t longest = kLongestText) {
    const auto text = scalar(value, right, problems_, field_ + "." + at_);
    if (!text) return std::nullopt;
    if (!text->empty() && text->size() <= longest && printable(*text, longest) == *text) return std::string(*text);
    say(value, at_, fmt::format("{} is not right", quote(*text)), fmt::format("give {}", right));
    return std::nullopt;
  }
  void set_kind(CheckKind kind) {
    out_.kind = kind;
    ++kinds_;
  }

  void read_name(const Value& value) {
    named_ = true;
    const auto text = text_of(value, "a name such as web-front", kLongestName);
    if (!text) return;
    const bool good = std::ranges::all_of(*text, [](char c) { return is_alphanumeric(c) || c == '-'; }) &&
                      to_lower(*text) == *text && is_letter(text->front()) && text->back() != '-';
    const bool built_in = std::ranges::find(built_in_checks(), *text) != built_in_checks().end();
    if (!good) say(value, at_, fmt::format("{} is no name", quote(*text)), "a-z, 0-9 and '-', beginning with a letter");
    if (built_in) say(value, at_, fmt::format("{} is a check of the agent itself", quote(*text)), "take another name");
    if (good && !built_in) out_.name = *text;
  }
  void read_command(const Value& value) {
    set_kind(CheckKind::command);
    constexpr std::string_view kRight = "a list such as [/usr/local/bin/check, -v]";
    Problems own;
    if (!is_list(value, kRight, own) || value.items.empty() || value.items.size() > kMostArguments)
      return say(value, at_, own.empty() ? "is empty" : own.front().message, fmt::format("give {}", kRight));
    for (const Value& item : value.items) {
      const auto text = scalar(item, "a word", problems_, field_ + "." + at_);
      if (!text) return;
      if (text->size() > kLongestArgument) return say(item, at_, "has a word longer than 4096 bytes", "");
      out_.command.emplace_back(*text);
    }
    if (!out_.command.front().starts_with('/'))
      say(value.items.front(), at_, fmt::format("{} is not an absolute path", quote(out_.command.front())),
          "no shell looks for the program: begin it with /");
  }
  void read_url(const Value& value) {
    set_kind(CheckKind::http);
    constexpr std::string_view kRight = "a URL such as http://127.0.0.1:8080/healthz";
    const auto text = text_of(value, kRight, 2000);
    if (!text) return;
    const std::size_t scheme = text->starts_with("https://") ? 8 : text->starts_with("http://") ? 7 : 0;
    const std::string_view rest = std::string_view(*text).substr(scheme);
    const std::string_view host = rest.substr(0, rest.find_first_of("/?"));
    const bool good = scheme != 0 && text->find_first_of(" #\"<>\\^`{|}") == std::string::npos &&
                      host.find('@') == std::string_view::npos && is_target(host, false);
    if (!good) return say(value, at_, fmt::format("{} is no URL", quote(*text)), fmt::format("give {}", kRight));
    out_.target = *text;
  }
  void read_address(const Value& value) {
    set_kind(CheckKind::tcp);
    constexpr std::string_view kRight = "HOST:PORT, as 127.0.0.1:5432 or [::1]:5432";
    const auto text = text_of(value, kRight);
    if (!text) return;
    if (!is_target(*text, true))
      return say(value, at_, fmt::format("{} is not right", quote(*text)), fmt::format("give {}", kRight));
    out_.target = *text;
  }
  void read_grpc(const Value& value) {
    set_kind(CheckKind::grpc);
    constexpr std::string_view kRight = "HOST:PORT or unix:/PATH";
    const auto text = text_of(value, kRight);
    if (!text) return;
    constexpr std::size_t kLongestSocket = 107;  // sun_path
    const bool socket =
        text->starts_with("unix:/") && text->size() <= kLongestSocket + std::string_view("unix:").size();
    if (!socket && !is_target(*text, true))
      return say(value, at_, fmt::format("{} is not right", quote(*text)), fmt::format("give {}", kRight));
    out_.target = *text;
  }
  void read_file(const Value& value) {
    set_kind(CheckKind::file);
    with_field([&](Problems& own) { read_path(value, false, kLongestPath, out_.target, own); });
  }
  static bool is_target(std::string_view text, bool with_port) {
    const std::optional<HostPort> parts = split_host_port(text);
    if (!parts || parts->host.empty() || (with_port && !parts->port)) return false;
    if (parts->bracketed ? !is_address(AF_INET6, parts->host) : !is_host_name(parts->host)) return false;
    const auto port = parse_number<std::uint16_t>(parts->port.value_or("80"));
    return port && *port != 0;
  }

  void read_status(const Value& value) {
    only_ = CheckKind::http;
    with_field([&](Problems& own) { read_count(value, 100, 599, out_.status, own); });
  }
  void read_body(const Value& value) {
    only_ = CheckKind::http;
    if (const auto text = text_of(value, "a text of 1 to 256 bytes")) out_.body = *text;
  }
  void read_ca_file(const Value& value) {
    with_field([&](Problems& own) { read_path(value, false, kLongestPath, out_.ca_file, own); });
  }
  void read_tls(const Value& value) {
    only_ = CheckKind::grpc;
    with_field([&](Problems& own) { read_boolean(value, out_.tls, own); });
  }
  void read_certificate(const Value& value) {
    only_ = CheckKind::grpc;
    with_field([&](Problems& own) { read_path(value, false, kLongestPath, out_.certificate, own); });
  }
  void read_key_file(const Value& value) {
    only_ = CheckKind::grpc;
    with_field([&](Problems& own) { read_path(value, false, kLongestPath, out_.key_file, own); });
  }
  void read_server_name(const Value& value) {
    only_ = CheckKind::grpc;
    const auto text = text_of(value, "a host name");
    if (text && !is_host_name(*text) && !is_address(AF_INET6, *text))
      return say(value, at_, fmt::format("{} is no host name", quote(*text)), "give one such as orders.example");
    if (text) out_.server_name = *text;
  }
  void read_service(const Value& value) {
    only_ = CheckKind::grpc;
    if (const auto text = text_of(value, "a service's name, as acme.Orders")) out_.service = *text;
  }
  void read_max_age(const Value& value) {
    only_ = CheckKind::file;
    with_field([&](Problems& own) { read_duration(value, 1s, std::chrono::days{365}, out_.max_age, own); });
  }
  void read_interval(const Value& value) {
    with_field([&](Problems& own) { read_duration(value, 1s, std::chrono::days{1}, out_.interval, own); });
  }
  void read_timeout(const Value& value) {
    timed_ = true;
    with_field([&](Problems& own) { read_duration(value, 100ms, 5min, out_.timeout, own); });
  }
  void read_failures(const Value& value) {
    with_field([&](Problems& own) { read_count(value, 1, 100, out_.failures, own); });
  }
  void read_success(const Value& value) {
    with_field([&](Problems& own) { read_count(value, 1, 100, out_.successes, own); });
  }
  void read_condition(const Value& value) { read_word(value, out_.condition); }
  void read_reason(const Value& value) { read_word(value, out_.reason); }
  void read_word(const Value& value, std::string& out) {
    const auto text = text_of(value, "a CamelCase word such as WebUnhealthy", kLongestWord);
    if (!text) return;
    if (text->front() >= 'A' && text->front() <= 'Z' && std::ranges::all_of(*text, is_alphanumeric))
      out = *text;
    else
      say(value, at_, fmt::format("{} is not CamelCase", quote(*text)), "a word such as WebUnhealthy");
  }
  void read_message(const Value& value) {
    if (const auto text = text_of(value, "a sentence of 1 to 256 bytes")) out_.message = *text;
  }

  void check_together() {
    if (!out_.ca_file.empty() && out_.kind != CheckKind::grpc && !only_) only_ = CheckKind::http;
    if (only_ && kinds_ == 1 && *only_ != out_.kind)
      say(value_, "", fmt::format("has keys that belong to {}", name(*only_)),
          "status and body are of http, service, tls, certificate, key_file and server_name of grpc, ca_file of both, "
          "max_age of file");
    if (out_.kind == CheckKind::grpc) check_tls();
    if (!timed_) out_.timeout = std::min(out_.timeout, out_.interval);
    if (out_.timeout > out_.interval)
      say(value_, "timeout", fmt::format("is longer than the interval of {}", format_duration(out_.interval)),
          "a check ends before its next one begins");
  }

  void check_tls() {
    const bool any =
        !out_.ca_file.empty() || !out_.certificate.empty() || !out_.key_file.empty() || !out_.server_name.empty();
    if (any && !out_.tls) say(value_, "", "has keys of TLS without it", "add tls: true");
    if (out_.tls && out_.target.starts_with("unix:"))
      say(value_, "tls", "is not there on a unix socket", "leave it out, or give HOST:PORT");
    if (out_.certificate.empty() != out_.key_file.empty())
      say(value_, "", "has only one of certificate and key_file", "give both, or none");
  }

  const Value& value_;
  std::string field_, at_;
  Problems& problems_;
  HealthCheckConfig out_;
  std::optional<CheckKind> only_;
  unsigned kinds_ = 0;
  bool named_ = false, timed_ = false;
};

Value text_value(const std::string& text) { return Value::scalar(text, true); }

}  // namespace

std::string_view name(CheckKind kind) {
  switch (kind) {
    case CheckKind::command: return "command";
    case CheckKind::http: return "http";
    case CheckKind::tcp: return "tcp";
    case CheckKind::grpc: return "grpc";
    case CheckKind::file: break;
  }
  return "file";
}

std::string condition_of(std::string_view check) {
  std::string out;
  bool upper = true;
  for (const char c : check) {
    if (c != '-') out += upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    upper = c == '-';
  }
  return out + "Unhealthy";
}

void read_checks(const Value& value, std::vector<HealthCheckConfig>& out, Problems& problems) {
  if (!is_list(value, "a list of checks", problems)) return;  // at most 64
  std::vector<HealthCheckConfig> all;
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    const std::string field = fmt::format("[{}]", i);
    HealthCheckConfig check = CheckReader(value.items[i], field, problems).read();
    if (!check.name.empty() && std::ranges::find(all, check.name, &HealthCheckConfig::name) != all.end())
      add(problems, value.items[i], field + ".name", fmt::format("{} is there twice", quote(check.name)),
          "give each check a name of its own");
    all.push_back(std::move(check));
  }
  out = std::move(all);
}

// Only what differs from a check's defaults, besides its name and what it looks at.
Value show_checks(const std::vector<HealthCheckConfig>& checks) {
  Value out;
  out.kind = Value::Kind::list;
  const HealthCheckConfig usual;
  for (const HealthCheckConfig& check : checks) {
    Value map;
    map.kind = Value::Kind::map;
    const auto put = [&map](std::string key, bool differs, Value value) {
      if (differs) map.entries.push_back({std::move(key), 0, std::move(value)});
    };
    put("name", true, text_value(check.name));
    put(std::string(name(check.kind)), true,
        check.kind == CheckKind::command ? show(check.command) : text_value(check.target));
    put("status", check.status != usual.status, show(check.status));
    put("body", !check.body.empty(), text_value(check.body));
    put("ca_file", !check.ca_file.empty(), text_value(check.ca_file));
    put("service", !check.service.empty(), text_value(check.service));
    put("tls", check.tls, show(check.tls));
    put("certificate", !check.certificate.empty(), text_value(check.certificate));
    put("key_file", !check.key_file.empty(), text_value(check.key_file));
    put("server_name", !check.server_name.empty(), text_value(check.server_name));
    put("max_age", check.max_age != usual.max_age, show(check.max_age));
    put("interval", check.interval != usual.interval, show(check.interval));
    put("timeout", check.timeout != usual.timeout, show(check.timeout));
    put("failures", check.failures != usual.failures, show(check.failures));
    put("successes", check.successes != usual.successes, show(check.successes));
    put("condition", check.condition != condition_of(check.name), text_value(check.condition));
    put("reason", !check.reason.empty(), text_value(check.reason));
    put("message", !check.message.empty(), text_value(check.message));
    out.items.push_back(std::move(map));
  }
  return out;
}

bool has_commands(const Config& config) {
  return std::ranges::any_of(config.health.checks,
                             [](const HealthCheckConfig& check) { return check.kind == CheckKind::command; });
}

}  // namespace omnitide::config
