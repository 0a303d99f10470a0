#include "agent/daemon/kubernetes_journal.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "agent/base/fd.hpp"
#include "agent/base/file.hpp"
#include "agent/base/text.hpp"
#include "agent/io/crypto.hpp"

namespace omnitide::daemon {

namespace {

constexpr std::size_t kMostBytes = std::size_t{128} << 20U;
constexpr std::uint64_t kSlack = std::uint64_t{1} << 20U;  // before a file is written anew
constexpr std::size_t kDigest = 16;                        // hexadecimal digits

std::string digest_of(std::string_view text) { return hex_encode(io::sha256(text)).substr(0, kDigest); }

// A tab parts digest, source and text: neither a name nor compact JSON has one outside of an escape.
void add_line(std::string& out, std::string_view source, std::string_view text) {
  const std::string content = fmt::format("{}\t{}", source, text);
  out += fmt::format("{}\t{}\n", digest_of(content), content);
}

void take_line(std::string_view line, PolicyTexts& held) {
  if (line.size() <= kDigest || line[kDigest] != '\t') return;
  const std::string_view content = line.substr(kDigest + 1);
  const std::size_t tab = content.find('\t');
  if (tab == std::string_view::npos || digest_of(content) != line.substr(0, kDigest)) return;
  const std::string_view source = content.substr(0, tab), text = content.substr(tab + 1);
  if (text.empty()) {
    if (const auto found = held.find(source); found != held.end()) held.erase(found);
  } else {
    held.insert_or_assign(std::string(source), std::string(text));
  }
}

}  // namespace

KubernetesJournal::KubernetesJournal(std::string path, std::string cluster)
    : path_(std::move(path)), header_("omnitide-kubernetes-1 " + digest_of(cluster) + "\n") {}

Result<PolicyTexts> KubernetesJournal::read() const {
  const Result<std::string> text = read_file(path_, kMostBytes);
  if (text.has_error()) {
    if (text.error().code == Code::not_found) return PolicyTexts();
    return text.error();
  }
  PolicyTexts held;
  std::string_view rest = *text;
  if (!rest.starts_with(header_)) return held;
  rest.remove_prefix(header_.size());
  for (std::size_t end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
    take_line(rest.substr(0, end), held);
    rest.remove_prefix(end + 1);
  }
  take_line(rest, held);
  return held;
}

Result<> KubernetesJournal::rewrite(const PolicyTexts& objects) {
  std::string text = header_;
  for (const auto& [source, object] : objects)
    if (!object.empty()) add_line(text, source, object);
  if (Result<> wrote = write_file_durably(path_, text, 0600); wrote.has_error()) return wrote;
  bytes_ = least_ = text.size();
  return {};
}

Result<PolicyTexts> KubernetesJournal::load() {
  const std::scoped_lock lock(mutex_);
  struct stat info {};
  if (::stat(path_.c_str(), &info) == 0) bytes_ = static_cast<std::uint64_t>(info.st_size);
  return read();
}

Result<> KubernetesJournal::replace(const PolicyTexts& objects) {
  const std::scoped_lock lock(mutex_);
  return rewrite(objects);
}

Result<> KubernetesJournal::append(const PolicyTexts& changes) {
  const std::scoped_lock lock(mutex_);
  std::string text = "\n";  // ends a line that was cut short
  for (const auto& [source, object] : changes)
    add_line(text, source, object);
  const auto failed = [this](int error) {
    return fail_errno(error, "cannot keep the objects of the API server in " + path_);
  };
  const UniqueFd file(::open(path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  if (!file) return failed(errno);
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t wrote = ::write(file.get(), rest.data(), rest.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return failed(errno);
    rest.remove_prefix(static_cast<std::size_t>(wrote));
  }
  bytes_ += text.size();
  if (bytes_ <= 2 * least_ + kSlack) return {};
  const Result<PolicyTexts> objects = read();
  return objects.has_error() ? Result<>(objects.error()) : rewrite(*objects);
}

}  // namespace omnitide::daemon
