// What collectors read, on any bytes: the first byte chooses the file, the rest is its content. A collector may fail;
// it must not give more than its file could hold, nor a sample that its family does not describe.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/pattern.hpp"
#include "discovery/collectors/catalogue.hpp"
#include "discovery/collectors/link_table.hpp"
#include "discovery/collectors/text_format.hpp"

using namespace omnitide;

namespace {

void require(bool promise) {
  if (!promise) std::abort();
}

struct Surface {
  const char* path;
  std::string_view collector;
};
constexpr std::array kSurfaces{
    Surface{"/proc/meminfo", "meminfo"},
    Surface{"/proc/vmstat", "vmstat"},
    Surface{"/proc/stat", "cpu"},
    Surface{"/proc/stat", "stat"},
    Surface{"/proc/schedstat", "schedstat"},
    Surface{"/proc/diskstats", "diskstats"},
    Surface{"/run/udev/data/b8:0", "diskstats"},
    Surface{"/proc/mdstat", "mdadm"},
    Surface{"/proc/loadavg", "loadavg"},
    Surface{"/proc/1/mounts", "filesystem"},
    Surface{"/proc/net/netstat", "netstat"},
    Surface{"/proc/net/snmp6", "netstat"},
    Surface{"/proc/net/sockstat", "sockstat"},
    Surface{"/proc/net/udp", "udp_queues"},
    Surface{"/proc/net/arp", "arp"},
    Surface{"/proc/net/softnet_stat", "softnet"},
    Surface{"/proc/net/ip_vs", "ipvs"},
    Surface{"/proc/net/rpc/nfs", "nfs"},
    Surface{"/proc/net/rpc/nfsd", "nfsd"},
    Surface{"/proc/net/stat/nf_conntrack", "conntrack"},
    Surface{"/proc/pressure/cpu", "pressure"},
    Surface{"/etc/os-release", "os"},
    Surface{"/proc/spl/kstat/zfs/arcstats", "zfs"},
    Surface{"/proc/spl/kstat/zfs/pool/io", "zfs"},
    Surface{"/proc/spl/kstat/zfs/pool/objset-1", "zfs"},
    Surface{"/sys/fs/xfs/sda/stats/stats", "xfs"},
    Surface{"/sys/fs/bcache/a-b/bdev0/writeback_rate_debug", "bcache"},
    Surface{"/sys/fs/bcache/a-b/cache0/priority_stats", "bcache"},
    Surface{"/sys/class/infiniband/a/ports/1/rate", "infiniband"},
    Surface{"/sys/devices/system/cpu/isolated", "cpu"},
};

// One tree of files, where the chosen one is written anew for each input.
class Machine {
 public:
  Machine() {
    std::string name = "/tmp/omnitide-fuzz-XXXXXX";
    require(::mkdtemp(name.data()) != nullptr);
    path_ = name;
    for (const Surface& each : kSurfaces)
      write(each.path, "");
    write("/proc/diskstats", "8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n");
    write("/proc/stat", "cpu0 1 2 3 4\n");
    for (const char* path : {"/proc/net/snmp", "/proc/sys/net/netfilter/nf_conntrack_count",
                             "/proc/sys/net/netfilter/nf_conntrack_max", "/proc/net/ip_vs_stats", "/proc/pressure/io"})
      write(path, "1\n");
    write("/proc/net/ip_vs_stats", "a\nb\n1 2 3 4 5\n");
    write("/proc/net/snmp", "");
    model::CollectorSettings settings;
    settings.on.fill(true);
    for (std::size_t i = 0; i < settings.values.size(); ++i)
      if (model::kCollectorFlags.at(i).kind == model::FlagKind::boolean) settings.values.at(i) = "true";
    collectors_ = discovery::node_collectors(*Root::open(path_), settings);
  }
  ~Machine() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  void run(const Surface& surface, std::string_view content) {
    write(surface.path, content);
    for (const model::Collector& each : collectors_) {
      if (each.name != surface.collector) continue;
      batch_.clear();
      (void)each.collect(batch_);
      require(batch_.refused() == 0);
      require(batch_.size() <= 4096 + 64 * content.size());
      for (const model::SampleView& row : batch_.views())
        require(row.labels.size() == row.descriptor->labels.size());
    }
  }

 private:
  void write(const std::string& at, std::string_view content) const {
    const std::string whole = path_ + at;
    std::filesystem::create_directories(whole.substr(0, whole.rfind('/')));
    const int fd = ::open(whole.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    require(fd >= 0 && ::write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size()));
    ::close(fd);
  }

  std::string path_;
  std::vector<model::Collector> collectors_;
  model::SampleBatch batch_;
};

void read_text_format(std::string_view text) {
  const auto families = discovery::parse_text_format(text);
  if (families.has_error()) return;
  model::SampleBatch batch;
  for (const auto& [name, family] : *families)
    discovery::add_family(family, batch);
  require(batch.refused() == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Machine machine;
  if (size == 0 || size > 65'536) return 0;
  const std::string_view content(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t choice = data[0] % (kSurfaces.size() + 3);
  if (choice < kSurfaces.size()) {
    machine.run(kSurfaces.at(choice), content);
  } else if (choice == kSurfaces.size()) {
    read_text_format(content);
  } else if (choice == kSurfaces.size() + 1) {
    discovery::LinkEntry link;
    (void)discovery::parse_link_entry(content, link);
  } else {
    // Only what a configuration may hold comes here; repetitions of repetitions are slow to compile, not wrong.
    if (content.size() > 64 || content.find('{') != std::string_view::npos) return 0;
    const auto pattern = Pattern::compile(content);
    if (pattern.has_value()) (void)pattern->matches("veth12");
  }
  return 0;
}
