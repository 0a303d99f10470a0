#include "agent/daemon/cni_install.hpp"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <vector>

#include "agent/base/file.hpp"
#include "agent/base/text.hpp"

namespace omnitide::daemon {

namespace {

constexpr std::size_t kLongestList = std::size_t{1} << 20U, kLongestProgram = std::size_t{64} << 20U;
constexpr std::size_t kMostLists = 1000;
constexpr std::array<std::string_view, 3> kSuffixes{".conf", ".conflist", ".json"};  // libcni, ConfFiles

// Sorted. Empty when the folder is not there.
Result<std::vector<std::string>> names_of_lists(const std::string& folder) {
  std::vector<std::string> out;
  const std::unique_ptr<DIR, int (*)(DIR*)> open(::opendir(folder.c_str()), &::closedir);
  if (!open && errno != ENOENT) return fail_errno(errno, "cannot read " + folder);
  while (const dirent* entry = open ? ::readdir(open.get()) : nullptr) {
    out.emplace_back(&entry->d_name[0]);
    if (out.size() > kMostLists)
      return fail(Code::resource_exhausted, fmt::format("{} has more than {} files", folder, kMostLists));
  }
  std::ranges::sort(out);
  return out;
}

bool is_configuration(const std::string& name) {
  return std::ranges::any_of(kSuffixes, [&name](std::string_view suffix) { return name.ends_with(suffix); });
}

// What a file is, without following a link.
Result<struct stat> file_at(const std::string& path) {
  struct stat out {};
  if (::lstat(path.c_str(), &out) != 0) return fail_errno(errno, "cannot look at " + path);
  return out;
}

// A link leads to where its owner keeps the file: to put another file in its place would cut it off.
Result<std::string> read_own(const std::string& path) {
  const Result<struct stat> about = file_at(path);
  if (about.has_error()) return about.error();
  if (!S_ISREG(about->st_mode))
    return fail(Code::failed_precondition, path + " is no file but a link, leaving it alone");
  return read_file(path, kLongestList);
}

Result<> write_own(const std::string& path, const std::string& text) {
  const Result<struct stat> about = file_at(path);
  if (about.has_error()) return about.error();
  return write_file_durably(path, text, about->st_mode & 07777U);
}

std::string program_of(const CniFolders& folders) { return folders.programs + "/" + std::string(cni::kPluginType); }

// The runtime looks for ours where it finds its own.
Result<> check_programs(const CniFolders& folders, const std::string& list, const std::string& text) {
  for (const std::string& type : cni::plugin_types(text)) {
    if (type != cni::kPluginType && file_at(folders.programs + "/" + type).has_error())
      return fail(Code::failed_precondition, fmt::format("{} names the plugin {}, which is not in {}", list,
                                                         printable(type, 64), folders.programs))
          .with_hint("kubernetes.cni.bin_dir has to be the container runtime's folder of plugins");
  }
  return {};
}

Result<> install_program(const CniFolders& folders) {
  const Result<std::string> wanted = read_file(folders.plugin, kLongestProgram);
  if (wanted.has_error()) return wanted.error();
  const std::string path = program_of(folders);
  const Result<std::string> there = read_file(path, kLongestProgram);
  struct stat about {};
  const bool runs = ::stat(path.c_str(), &about) == 0 && (about.st_mode & 0111U) == 0111U;
  if (runs && there.has_value() && *there == *wanted) return {};
  Result<> written = write_file_durably(path, *wanted, 0755);
  if (written.has_value() && ::chmod(path.c_str(), 0755) != 0)  // whatever the umask took
    written = fail_errno(errno, "cannot make " + path + " executable");
  return written;
}

}  // namespace

Result<CniInstalled> install_cni(const CniFolders& folders, const cni::Settings& settings) {
  const Result<std::vector<std::string>> names = names_of_lists(folders.lists);
  if (names.has_error()) return names.error();
  const auto first = std::ranges::find_if(*names, is_configuration);
  if (first == names->end()) return fail(Code::not_found, folders.lists + " has no network configuration yet");
  CniInstalled out{.list = folders.lists + "/" + *first, .changed = false};
  const Result<std::string> text = read_own(out.list);
  if (text.has_error()) return text.error();
  if (!first->ends_with(".conflist"))
    return fail(Code::failed_precondition, out.list + " is of a single plugin, to which none can be chained")
        .with_hint("make it a .conflist, a list of plugins");
  const Result<std::string> chained = cni::chain(*text, cni::entry_of(settings));
  if (chained.has_error()) return Error{chained.error()}.within(out.list);
  if (const Result<> found = check_programs(folders, out.list, *text); found.has_error()) return found.error();
  if (const Result<> installed = install_program(folders); installed.has_error()) return installed.error();
  out.changed = *chained != *text;
  if (!out.changed) return out;
  if (const Result<> written = write_own(out.list, *chained); written.has_error()) return written.error();
  return out;
}

Result<bool> remove_cni(const CniFolders& folders) {
  const Result<std::vector<std::string>> names = names_of_lists(folders.lists);
  if (names.has_error()) return names.error();
  bool any = false;
  std::string named_by;  // a file that goes on naming the plugin
  Result<> problem;
  for (const std::string& name : *names) {
    const std::string path = folders.lists + "/" + name;
    const Result<std::string> text = read_file(path, kLongestList);  // also where a link leads
    if (text.has_error() || text->find(cni::kPluginType) == std::string::npos) continue;
    const Result<std::string> rest = is_configuration(name) ? cni::unchain(*text) : Result<std::string>(*text);
    const bool good =
        rest.has_value() && *rest != *text && file_at(path).has_value() && S_ISREG(file_at(path)->st_mode);
    const Result<> written = good ? write_own(path, *rest) : Result<>();
    any = any || good;
    if (written.has_error() && problem.has_value()) problem = written;
    if (!good || written.has_error() || rest->find(cni::kPluginType) != std::string::npos) named_by = path;
  }
  if (problem.has_error()) return problem.error();
  if (!named_by.empty())
    return fail(Code::failed_precondition,
                fmt::format("{} names {} still, leaving the plugin", named_by, cni::kPluginType));
  const std::string program = program_of(folders);
  if (::unlink(program.c_str()) == 0) return true;
  if (errno != ENOENT && errno != ENOTDIR) return fail_errno(errno, "cannot remove " + program);
  return any;
}

}  // namespace omnitide::daemon
