#include "discovery/sources/reader.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace omnitide::discovery {

namespace {

constexpr std::size_t kMaxAttribute = 4096;  // sysfs gives at most one page

}  // namespace

std::optional<std::string> Reader::file(const std::string& path, std::size_t limit) {
  Result<std::string> content = root_.read(path, limit);
  if (content.has_value()) return std::move(*content);
  note(content.error());
  return std::nullopt;
}

std::optional<Reader::Head> Reader::head(const std::string& path, std::size_t limit) {
  const Result<UniqueFd> fd = root_.open_at(path, O_RDONLY);
  if (fd.has_error()) {
    note(fd.error());
    return std::nullopt;
  }
  struct stat info {};
  if (::fstat(fd->get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    problem(fmt::format("{} is not a regular file", path));
    return std::nullopt;
  }
  Head head;
  head.text.resize(limit + 1);
  std::size_t used = 0;
  while (used < head.text.size()) {
    const ssize_t got = ::read(fd->get(), head.text.data() + used, head.text.size() - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      note(fail_errno(errno, fmt::format("cannot read {}", path)));
      return std::nullopt;
    }
    if (got == 0) break;
    used += static_cast<std::size_t>(got);
  }
  head.truncated = used > limit;
  head.text.resize(head.truncated ? limit : used);
  return head;
}

std::string Reader::attribute(const std::string& path) {
  const std::optional<std::string> content = file(path, kMaxAttribute);
  if (!content) return {};
  const std::string_view text = *content;
  return printable(trim(text.substr(0, text.find_first_of(std::string_view("\n\0", 2)))));
}

std::vector<std::string> Reader::names(const std::string& path) {
  Result<std::vector<std::string>> listed = root_.list(path);
  if (listed.has_value()) return std::move(*listed);
  note(listed.error());
  return {};
}

void Reader::note(const Error& error) {
  if (error.code != Code::not_found) problem(error.text());
}

void Reader::problem(std::string_view sentence) {
  ++count_;
  if (problems_.size() < kMaxProblems) problems_.push_back(printable(sentence, 512));
}

void Reader::malformed(std::string_view path, std::string_view text) {
  problem(fmt::format("{} says \"{}\", which is not what the kernel writes there", path, printable(text, 64)));
}

std::vector<std::string> Reader::take_problems() && {
  if (count_ > problems_.size()) problems_.push_back(fmt::format("and {} more like these", count_ - problems_.size()));
  return std::move(problems_);
}

}  // namespace omnitide::discovery
