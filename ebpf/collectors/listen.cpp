#include "ebpf/collectors/listen.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/base/file.hpp"
#include "agent/base/text.hpp"
#include "ebpf/collectors/cgroup_names.hpp"
#include "ebpf/collectors/openers.hpp"
#include "ebpf/collectors/samples.hpp"

namespace omnitide::collectors {

namespace {

using model::MetricDescriptor;
using model::MetricType;

constexpr std::chrono::seconds kSearchInterval{30};
constexpr std::size_t kMostNamespaces = 64;
constexpr std::size_t kMostProcesses = 32768;
constexpr std::size_t kMostText = 64U << 10U;

constexpr std::array<std::string_view, 1> kNamespace{"netns"};
constexpr auto kInfo = with_cgroup(std::array<std::string_view, 1>{"netns"});
constexpr MetricDescriptor kOverflows{
    "omnitide_tcp_listen_overflows_total", "",
    "Connections that were dropped since a socket's accept queue was full, by network namespace.", MetricType::counter,
    kNamespace};
constexpr MetricDescriptor kDrops{"omnitide_tcp_listen_drops_total", "",
                                  "All SYNs and ACKs that listening sockets dropped, by network namespace.",
                                  MetricType::counter, kNamespace};
constexpr MetricDescriptor kSynDrops{
    "omnitide_tcp_syn_queue_drops_total", "",
    "SYNs that were dropped since a socket's queue of half-open connections was full, by network namespace.",
    MetricType::counter, kNamespace};
constexpr MetricDescriptor kCookies{"omnitide_tcp_syn_cookies_sent_total", "",
                                    "SYNs that were answered with a cookie, by network namespace.", MetricType::counter,
                                    kNamespace};
constexpr MetricDescriptor kNamespaces{
    "omnitide_network_namespace_info", "",
    "1 for each network namespace that processes are in, with the cgroup of one of them.", MetricType::gauge, kInfo};
constexpr std::array kListenFamilies{&kOverflows, &kDrops, &kSynDrops, &kCookies, &kNamespaces};

struct Member {
  std::string pid;
  CgroupLabels cgroup;
};

// Network namespaces by their inode, each with a process in it. A descriptor would keep a namespace from its end.
class Namespaces {
 public:
  void search();
  [[nodiscard]] bool due() const { return std::chrono::steady_clock::now() - searched_ >= kSearchInterval; }
  std::map<ino_t, Member> all;

 private:
  std::chrono::steady_clock::time_point searched_{};
};

std::string cgroup_of(const std::string& pid) {
  const Result<std::string> text = read_file("/proc/" + pid + "/cgroup");
  if (text.has_error()) return {};
  for (const std::string_view line : split(*text, '\n')) {
    if (line.starts_with("0::")) return std::string(line.substr(3));
  }
  return {};
}

ino_t namespace_of(const std::string& pid) {
  struct stat own {};
  return ::stat(("/proc/" + pid + "/ns/net").c_str(), &own) == 0 ? own.st_ino : 0;
}

void Namespaces::search() {
  searched_ = std::chrono::steady_clock::now();
  std::erase_if(all, [](const auto& each) { return namespace_of(each.second.pid) != each.first; });
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir("/proc"), &::closedir);
  if (!folder) return;
  std::size_t seen = 0;
  for (const dirent* entry = ::readdir(folder.get()); entry != nullptr && seen < kMostProcesses;
       entry = ::readdir(folder.get())) {
    const std::string_view name(&entry->d_name[0]);
    if (name != "self" && !parse_number<std::uint32_t>(name)) continue;
    ++seen;
    const std::string pid(name);
    const ino_t inode = namespace_of(pid);
    if (inode == 0 || all.contains(inode) || all.size() >= kMostNamespaces) continue;
    all[inode] = {pid, describe_cgroup(cgroup_of(pid))};
  }
}

void add(model::SampleBatch& batch, const std::string& name, const ListenCounters& counters) {
  batch.add(kOverflows, static_cast<double>(counters.overflows), {name});
  batch.add(kDrops, static_cast<double>(counters.drops), {name});
  batch.add(kSynDrops, static_cast<double>(counters.syn_drops), {name});
  batch.add(kCookies, static_cast<double>(counters.cookies_sent), {name});
}

Result<> collect(Namespaces& namespaces, const PodNames* pods, model::SampleBatch& batch) {
  if (namespaces.due()) namespaces.search();
  bool lost_one = false;
  for (auto& [inode, member] : namespaces.all) {
    const Result<std::string> text = read_file("/proc/" + member.pid + "/net/netstat", kMostText);
    const auto counters = text ? parse_netstat(*text) : std::nullopt;
    if (!counters || namespace_of(member.pid) != inode) {
      lost_one = true;  // the process ended; another one may be there: next time
      continue;
    }
    const std::string name = fmt::format("{}", inode);
    add(batch, name, *counters);
    if (pods != nullptr) pods->name(member.cgroup);
    batch.add(kNamespaces, 1, CgroupValues(member.cgroup).with({name}));
  }
  if (lost_one) namespaces.search();
  return {};
}

}  // namespace

std::optional<ListenCounters> parse_netstat(std::string_view text) {
  std::vector<std::string_view> names;
  ListenCounters out;
  for (const std::string_view line : split(text, '\n')) {
    if (!line.starts_with("TcpExt:")) continue;
    const std::vector<std::string_view> words = split_words(line);
    if (names.empty()) {
      names = words;
      continue;
    }
    for (std::size_t i = 1; i < std::min(words.size(), names.size()); ++i) {
      const auto value = parse_number<std::uint64_t>(words[i]);
      if (!value) continue;
      if (names[i] == "ListenOverflows") out.overflows = *value;
      if (names[i] == "ListenDrops") out.drops = *value;
      if (names[i] == "TCPReqQFullDrop") out.syn_drops = *value;
      if (names[i] == "SyncookiesSent") out.cookies_sent = *value;
    }
    return out;
  }
  return std::nullopt;
}

Families listen_families() { return kListenFamilies; }

Result<Collect> open_listen(const Setup& setup) {
  auto namespaces = std::make_shared<Namespaces>();
  return Collect(
      [namespaces, pods = setup.pods](model::SampleBatch& batch) { return collect(*namespaces, pods.get(), batch); });
}

}  // namespace omnitide::collectors
