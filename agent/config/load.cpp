#include "agent/config/load.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <optional>

#include "agent/base/fd.hpp"
#include "agent/base/root.hpp"
#include "agent/base/text.hpp"
#include "agent/base/trust.hpp"
#include "agent/config/health_checks.hpp"
#include "agent/config/schema.hpp"

namespace omnitide::config {

namespace {

constexpr std::size_t kMaxDropIns = 256;

// A regular file's content. A FIFO neither blocks nor is read.
Result<std::string> read_regular(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) return fail_errno(errno, "cannot be read");
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return fail_errno(errno, "cannot be read");
  if (!S_ISREG(info.st_mode)) return fail(Code::invalid_argument, "is not a regular file");
  const std::string too_long = fmt::format("is longer than {}", human_bytes(kMaxFileBytes));
  if (info.st_size > static_cast<off_t>(kMaxFileBytes)) return fail(Code::resource_exhausted, too_long);
  std::string out;
  std::array<char, 16384> chunk{};
  while (true) {
    const ssize_t got = ::read(fd.get(), chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(errno, "cannot be read");
    if (got == 0) return out;
    out.append(chunk.data(), static_cast<std::size_t>(got));
    if (out.size() > kMaxFileBytes) return fail(Code::resource_exhausted, too_long);
  }
}

class Loader {
 public:
  explicit Loader(const LoadOptions& options) : options_(options) {}

  Loaded run() {
    read_file(options_.directory + "/agent.yaml", false);
    read_drop_ins();
    if (!options_.file.empty()) read_file(options_.file, true);
    read_environment();
    read_flag("paths.state_dir", "--state-dir", options_.state_dir);
    read_flag("paths.run_dir", "--run-dir", options_.run_dir);
    finish();
    return std::move(out_);
  }

 private:
  struct Effective {
    Value value;
    Origin origin;
  };

  void fault(const Origin& origin, Problem problem) {
    if (out_.faults.size() == kMaxFaults) {
      out_.warnings.push_back(fmt::format("more than {} faults; the others are not shown", kMaxFaults));
    }
    if (out_.faults.size() >= kMaxFaults) {
      full_ = true;
      return;
    }
    out_.faults.push_back(
        {origin.name, problem.line, std::move(problem.field), std::move(problem.message), std::move(problem.hint)});
  }

  void read_file(const std::string& path, bool required) {
    const Origin origin{Layer::file, path, 0};
    const Result<std::string> text = read_regular(path);
    if (text.has_error()) {
      if (text.error().code == Code::not_found && !required) return;
      fault(origin, {0, "", text.error().message, text.error().hint});
      return;
    }
    out_.config.files.push_back(path);
    const std::size_t first = out_.faults.size();
    Document document = parse_document(*text);
    for (Problem& problem : document.problems) {
      problem.field = printable(problem.field, 200);
      fault(origin, std::move(problem));
    }
    if (document.root.kind == Value::Kind::null) return;
    if (document.root.kind != Value::Kind::map) {
      fault(origin, {document.root.line, "", fmt::format("holds {}, not a map of sections", kind_name(document.root)),
                     "begin with a section such as 'node:'"});
      return;
    }
    for (const Entry& entry : document.root.entries)
      read_section(origin, entry);
    std::stable_sort(out_.faults.begin() + static_cast<std::ptrdiff_t>(first), out_.faults.end(),
                     [](const Fault& a, const Fault& b) { return a.line < b.line; });
  }

  void read_drop_ins() {
    const std::string folder = options_.directory + "/agent.d";
    const Result<Root> root = Root::open(folder);
    if (root.has_error()) {
      if (root.error().code == Code::not_found) return;
      fault({Layer::file, folder, 0}, {0, "", root.error().message, ""});
      return;
    }
    const Result<std::vector<std::string>> names = root->list("/", kMaxDropIns);
    if (names.has_error()) {
      fault({Layer::file, folder, 0}, {0, "", names.error().message, ""});
      return;
    }
    for (const std::string& name : *names) {
      if (name.starts_with('.')) continue;
      if (name.ends_with(".yaml")) {
        read_file(folder + "/" + name, true);
      } else if (name.ends_with(".yml")) {
        out_.warnings.push_back(fmt::format("{}/{} does not end in .yaml, ignoring", folder, printable(name, 200)));
      }
    }
  }

  void read_section(const Origin& origin, const Entry& section) {
    const std::string name = printable(section.key, 100);
    if (full_) return;
    if (!is_section(section.key)) {
      fault(origin, {section.line, name, "is not a known section", unknown_key_hint(section.key)});
      return;
    }
    if (section.value.kind == Value::Kind::null) return;
    if (section.value.kind != Value::Kind::map) {
      fault(origin, {section.line, name, fmt::format("is {}, not a section", kind_name(section.value)),
                     "put its keys below it, indented by two spaces"});
      return;
    }
    read_keys(origin, section.key, section.value);
  }

  // `limits.rules: 8` and `limits: {rules: 8}` are the same.
  void read_keys(const Origin& origin, const std::string& above, const Value& map) {
    for (const Entry& entry : map.entries) {
      const std::string path = above + "." + entry.key;
      const Key* key = find_key(path);
      if (key != nullptr) {
        take(*key, entry.value, {Layer::file, origin.name, entry.line});
      } else if (entry.value.kind == Value::Kind::map && is_group(path)) {
        read_keys(origin, path, entry.value);
      } else {
        fault(origin, {entry.line, printable(path, 200), "is not a known key", unknown_key_hint(path)});
      }
      if (full_) return;
    }
  }

  // Checks one value of one layer; a good one replaces that of the layers before.
  void take(const Key& key, const Value& value, const Origin& origin) {
    Problems problems;
    Config scratch;
    key.set(scratch, value, problems);
    // An absent value has the parser's place, which is after it.
    if (value.kind == Value::Kind::null) {
      for (Problem& problem : problems)
        problem.line = origin.line;
    }
    for (Problem& problem : problems) {
      const std::string_view dot = problem.field.empty() || problem.field.starts_with('[') ? "" : ".";
      problem.field = fmt::format("{}{}{}", key.path, dot, problem.field);
      if (problem.line == 0) problem.line = origin.line;
      fault(origin, std::move(problem));
    }
    if (!problems.empty() || !may_run(key, scratch, origin)) return;
    if (!key.is_map) {
      effective_.insert_or_assign(std::string(key.path), Effective{value, origin});
      return;
    }
    for (const Entry& entry : value.entries) {
      Origin own = origin;
      if (entry.line != 0 && origin.layer == Layer::file) own.line = entry.line;
      maps_[&key].insert_or_assign(entry.key, Effective{entry.value, std::move(own)});
    }
  }

  // What is to be run is root's word: not that of whoever sets a variable or may write a file.
  bool may_run(const Key& key, const Config& config, const Origin& origin) {
    if (!has_commands(config)) return true;
    Problem problem{origin.line, std::string(key.path), "has a command, and stands in no file",
                    "commands are taken only from files that root owns and nobody else may write"};
    if (origin.layer == Layer::file) {
      const Result<> trusted = only_root_writes(absolute(origin.name));
      if (!trusted.has_error()) return true;
      problem.message = fmt::format("has a command, and {}", trusted.error().message);
      if (!trusted.error().hint.empty()) problem.hint += ": " + trusted.error().hint;
    }
    fault(origin, std::move(problem));
    return false;
  }

  static std::string absolute(const std::string& path) {
    if (path.starts_with('/')) return path;
    std::array<char, kLongestPath> here{};
    return ::getcwd(here.data(), here.size()) == nullptr ? path : fmt::format("{}/{}", here.data(), path);
  }

  void read_environment() {
    std::vector<std::string> names;
    for (const Key& key : keys())
      names.push_back(environment_name(key));
    for (const auto& [name, text] : options_.environment) {
      const auto found = std::ranges::find(names, name);
      if (found == names.end()) {
        // Not a fault: Kubernetes sets OMNITIDE_..._SERVICE_HOST for a Service of that name.
        const std::string_view near = nearest(name, names);
        out_.warnings.push_back(near.empty() ? fmt::format("{} is not a known variable, ignoring", printable(name, 200))
                                             : fmt::format("{} is not a known variable, ignoring (did you mean {}?)",
                                                           printable(name, 200), near));
        continue;
      }
      read_variable(keys()[static_cast<std::size_t>(found - names.begin())], name, text);
    }
  }

  void read_variable(const Key& key, const std::string& name, const std::string& text) {
    const Origin origin{Layer::environment, name, 0};
    Value value = Value::scalar(text);
    const Value::Kind kind = key.get(Config{}).kind;
    if (kind == Value::Kind::list || kind == Value::Kind::map) {
      Document document = parse_document(text);
      for (Problem& problem : document.problems)
        fault(origin, {0, std::string(key.path), problem.message, "give a list as [a, b], a map as {a: b}"});
      if (!document.problems.empty()) return;
      value = std::move(document.root);
      value.line = 0;
      for (Value& item : value.items)
        item.line = 0;
      for (Entry& entry : value.entries)
        entry.line = entry.value.line = 0;
    }
    take(key, value, origin);
  }

  void read_flag(std::string_view path, std::string name, const std::string& text) {
    if (!text.empty()) take(*find_key(path), Value::scalar(text), {Layer::flag, std::move(name), 0});
  }

  void finish() {
    Config& config = out_.config;
    Problems none;
    for (const Key& key : keys()) {
      if (const auto found = effective_.find(key.path); found != effective_.end()) {
        key.set(config, found->second.value, none);
      }
      if (const auto found = maps_.find(&key); found != maps_.end()) {
        Value whole;
        whole.kind = Value::Kind::map;
        for (const auto& [name, entry] : found->second)
          whole.entries.push_back({name, 0, entry.value});
        key.set(config, whole, none);
      }
    }
    if (config.node.name.empty()) config.node.name = options_.hostname.empty() ? host_name() : options_.hostname;
    if (config.registry.dir.empty()) config.registry.dir = config.paths.state_dir + "/registry";
    Problems together;
    check_together(config, together);
    for (Problem& problem : together) {
      const auto found = effective_.find(problem.field);
      const Origin origin = found == effective_.end() ? Origin{} : found->second.origin;
      problem.line = origin.line;
      fault(origin, std::move(problem));
    }
    list_settings();
  }

  void list_settings() {
    for (const Key& key : keys()) {
      const Value value = key.get(out_.config);
      if (value.kind == Value::Kind::map && !value.entries.empty()) {
        const auto& origins = maps_[&key];
        for (const Entry& entry : value.entries) {
          const auto found = origins.find(entry.key);
          out_.settings.push_back({fmt::format("{}.{}", key.path, entry.key), entry.value,
                                   found == origins.end() ? Origin{} : found->second.origin});
        }
        continue;
      }
      const auto found = effective_.find(key.path);
      out_.settings.push_back(
          {std::string(key.path), value, found == effective_.end() ? Origin{} : found->second.origin});
    }
  }

  static std::string host_name() {
    utsname names{};
    return ::uname(&names) == 0 ? std::string(names.nodename) : std::string("localhost");
  }

  const LoadOptions& options_;
  Loaded out_;
  std::map<std::string, Effective, std::less<>> effective_;
  std::map<const Key*, std::map<std::string, Effective>> maps_;
  bool full_ = false;
};

}  // namespace

std::string Fault::text() const {
  std::string out = printable(file);
  if (line != 0) out += fmt::format(":{}", line);
  if (!out.empty()) out += ": ";
  if (!field.empty()) out += field + ": ";
  out += message;
  if (!hint.empty()) out += fmt::format(" ({})", hint);
  return out;
}

std::string Origin::text() const {
  if (layer == Layer::built_in) return "default";
  return line == 0 ? printable(name) : fmt::format("{}:{}", printable(name), line);
}

Loaded load(const LoadOptions& options) { return Loader(options).run(); }

std::vector<std::pair<std::string, std::string>> environment_of(const char* const* environ) {
  std::vector<std::pair<std::string, std::string>> out;
  for (; environ != nullptr && *environ != nullptr; ++environ) {
    const std::string_view entry = *environ;
    const std::size_t equals = entry.find('=');
    if (!entry.starts_with("OMNITIDE_") || equals == std::string_view::npos) continue;
    out.emplace_back(entry.substr(0, equals), entry.substr(equals + 1));
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace omnitide::config
