// Metrics that other programs leave in files of a folder.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "agent/base/text.hpp"
#include "discovery/collectors/collectors.hpp"
#include "discovery/collectors/families.hpp"
#include "discovery/collectors/sysfs_class.hpp"
#include "discovery/collectors/text_format.hpp"

namespace omnitide::discovery {

namespace {

using model::SampleBatch;

constexpr std::array<std::string_view, 1> kByFile{"file"};
constexpr std::array kTextfileFamilies{
    gauge("node_textfile_scrape_error", "1 when a file could not be read or holds something else than metrics."),
    gauge("node_textfile_mtime_seconds", "When a file that was read was written.", kByFile)};
constexpr auto kTextfileAll = pointers(kTextfileFamilies);
constexpr std::size_t kLongestFile = std::size_t{4} << 20U;
constexpr std::size_t kMaxFiles = 1024;

struct File {
  std::string text;
  double written = 0;
};

Result<File> read(const Root& root, const std::string& path) {
  Result<UniqueFd> fd = root.open_at(path, O_RDONLY);
  if (fd.has_error()) return std::move(fd).error();
  struct stat info {};
  if (::fstat(fd->get(), &info) != 0) return fail_errno(errno, "cannot ask for the time of " + path);
  Result<std::string> text = root.read(path, kLongestFile);
  if (text.has_error()) return std::move(text).error();
  return File{std::move(*text),
              static_cast<double>(info.st_mtim.tv_sec) + static_cast<double>(info.st_mtim.tv_nsec) / 1e9};
}

struct TextfileState {
  Root root;
  std::string folder;
  bool may_be_absent;  // nobody has asked for this folder by name

  Result<> collect(SampleBatch& batch) const {
    bool failed = false;
    if (!folder.empty()) {
      const Result<std::vector<std::string>> names = root.list(folder, kMaxFiles);
      failed = names.has_error() && !(may_be_absent && names.error().code == Code::not_found);
      for (const std::string& name : names.has_error() ? std::vector<std::string>{} : *names)
        if (name.ends_with(".prom")) failed = !add(name, batch) || failed;
    }
    batch.add(kTextfileFamilies[0], failed ? 1 : 0);
    return {};
  }

  // A file that is wrong in one line gives nothing: half of it could mislead.
  bool add(const std::string& name, SampleBatch& batch) const {
    const std::string path = fmt::format("{}/{}", folder, name);
    const Result<File> file = read(root, path);
    if (file.has_error()) return false;
    Result<std::map<std::string, TextFamily>> families = parse_text_format(file->text);
    if (families.has_error()) return false;
    for (auto& [family_name, family] : *families) {
      if (!family.has_help) family.help = fmt::format("Metric read from {}", printable(path, 256));
      add_family(family, batch);
    }
    batch.add(kTextfileFamilies[1], file->written, {valid_utf8(path)});
    return true;
  }
};

}  // namespace

Collector textfile_collector(const Root& root, const Settings& settings) {
  // Debian's package of node_exporter makes the folder that is the default here. Without the package it is no error
  // that there is none.
  const std::string& folder = settings.value("textfile.directory");
  const auto state =
      std::make_shared<TextfileState>(TextfileState{root, folder, folder == Settings{}.value("textfile.directory")});
  const auto collect = [state](SampleBatch& batch) { return state->collect(batch); };
  return {"textfile", kTextfileAll, collect, "files *.prom", kPatient, true};
}

}  // namespace omnitide::discovery
