#include "agent/daemon/kubernetes_journal.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <map>

#include "agent/base/fd.hpp"
#include "agent/base/file.hpp"
#include "agent/base/text.hpp"

namespace omnitide::daemon {

namespace {

constexpr std::size_t kMostBytes = std::size_t{512} << 20U;
constexpr std::uint64_t kSlack = std::uint64_t{1} << 20U;  // before a file is written anew

// A tab parts source and text: neither a name nor compact JSON has one outside of an escape. "\t" and nothing: gone.
std::string line_of(const PolicyText& item) { return item.source + "\t" + item.text + "\n"; }

}  // namespace

KubernetesJournal::KubernetesJournal(std::string path) : path_(std::move(path)) {}

Result<std::vector<PolicyText>> KubernetesJournal::read() const {
  const Result<std::string> text = read_file(path_, kMostBytes);
  if (text.has_error()) {
    if (text.error().code == Code::not_found) return std::vector<PolicyText>();
    return text.error();
  }
  std::map<std::string, std::string, std::less<>> held;
  std::string_view rest = *text;
  for (std::size_t end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    const std::size_t tab = line.find('\t');
    if (tab == std::string_view::npos) continue;
    held[std::string(line.substr(0, tab))] = line.substr(tab + 1);
  }
  std::vector<PolicyText> out;
  for (auto& [source, object] : held)
    if (!object.empty()) out.push_back({source, std::move(object)});
  return out;
}

Result<> KubernetesJournal::rewrite(const std::vector<PolicyText>& objects) {
  std::string text;
  for (const PolicyText& each : objects)
    text += line_of(each);
  if (Result<> wrote = write_file_durably(path_, text, 0600); wrote.has_error()) return wrote;
  bytes_ = least_ = text.size();
  return {};
}

Result<std::vector<PolicyText>> KubernetesJournal::load() {
  Result<std::vector<PolicyText>> objects = read();
  if (objects.has_error()) return objects;
  if (Result<> wrote = rewrite(*objects); wrote.has_error()) return std::move(wrote).error();
  return objects;
}

Result<> KubernetesJournal::append(const std::vector<PolicyText>& changes) {
  std::string text = torn_ ? "\n" : "";
  for (const PolicyText& each : changes)
    text += line_of(each);
  torn_ = true;
  const UniqueFd file(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!file) return fail_errno(errno, "cannot keep the objects of the API server in " + path_);
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t wrote = ::write(file.get(), rest.data(), rest.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return fail_errno(errno, "cannot keep the objects of the API server in " + path_);
    rest.remove_prefix(static_cast<std::size_t>(wrote));
  }
  torn_ = false;
  bytes_ += text.size();
  if (bytes_ <= 2 * least_ + kSlack) return {};
  const Result<std::vector<PolicyText>> objects = read();
  return objects.has_error() ? Result<>(objects.error()) : rewrite(*objects);
}

}  // namespace omnitide::daemon
