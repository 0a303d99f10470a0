// The NFS client and server: /proc/net/rpc/nfs and nfsd.
#include <fmt/format.h>

#include "discovery/collectors/collectors.hpp"
#include "discovery/collectors/families.hpp"
#include "discovery/collectors/scan.hpp"

namespace omnitide::discovery {

namespace {

using model::MetricDescriptor;
using model::SampleBatch;

constexpr std::array<std::string_view, 1> kByProtocol{"protocol"};
constexpr std::array<std::string_view, 1> kByProto{"proto"};
constexpr std::array<std::string_view, 1> kByError{"error"};
constexpr std::array<std::string_view, 2> kByMethod{"method", "proto"};

constexpr std::array kClient{
    counter("node_nfs_packets_total", "Packets of the NFS client.", kByProtocol),
    counter("node_nfs_connections_total", "TCP connections of the NFS client."),
    counter("node_nfs_rpcs_total", "Remote calls of the NFS client."),
    counter("node_nfs_rpc_retransmissions_total", "Remote calls that were sent again."),
    counter("node_nfs_rpc_authentication_refreshes_total", "Times that credentials were renewed."),
    counter("node_nfs_requests_total", "Requests of the NFS client.", kByMethod)};
constexpr auto kClientAll = pointers(kClient);
constexpr std::array kServer{
    counter("node_nfsd_reply_cache_hits_total", "Requests that came again and were answered from memory."),
    counter("node_nfsd_reply_cache_misses_total", "Requests whose answers are kept."),
    counter("node_nfsd_reply_cache_nocache_total", "Requests whose answers need not be kept."),
    counter("node_nfsd_file_handles_stale_total", "Handles of files that were not there any more."),
    counter("node_nfsd_disk_bytes_read_total", "Bytes that the NFS server read."),
    counter("node_nfsd_disk_bytes_written_total", "Bytes that the NFS server wrote."),
    gauge("node_nfsd_server_threads", "Threads of the NFS server."),
    gauge("node_nfsd_read_ahead_cache_size_blocks", "Size of the read-ahead cache."),
    counter("node_nfsd_read_ahead_cache_not_found_total", "Look-ups that the read-ahead cache could not answer."),
    counter("node_nfsd_packets_total", "Packets of the NFS server.", kByProto),
    counter("node_nfsd_connections_total", "TCP connections of the NFS server."),
    counter("node_nfsd_rpc_errors_total", "Remote calls that were wrong.", kByError),
    counter("node_nfsd_server_rpcs_total", "Remote calls to the NFS server."),
    counter("node_nfsd_requests_total", "Requests to the NFS server.", kByMethod)};
constexpr auto kServerAll = pointers(kServer);

// Procedures in the order of the files; an empty name is left out. RFC 1094, RFC 1813, fs/nfs/nfs4xdr.c, RFC 7530.
constexpr std::array<std::string_view, 18> kV2{"Null", "GetAttr", "SetAttr", "Root",   "Lookup",  "ReadLink",
                                               "Read", "WrCache", "Write",   "Create", "Remove",  "Rename",
                                               "Link", "SymLink", "MkDir",   "RmDir",  "ReadDir", "FsStat"};
constexpr std::array<std::string_view, 22> kV3{"Null",   "GetAttr", "SetAttr",  "Lookup", "Access",  "ReadLink",
                                               "Read",   "Write",   "Create",   "MkDir",  "SymLink", "MkNod",
                                               "Remove", "RmDir",   "Rename",   "Link",   "ReadDir", "ReadDirPlus",
                                               "FsStat", "FsInfo",  "PathConf", "Commit"};
constexpr std::array<std::string_view, 59> kClientV4{"Null",
                                                     "Read",
                                                     "Write",
                                                     "Commit",
                                                     "Open",
                                                     "OpenConfirm",
                                                     "OpenNoattr",
                                                     "OpenDowngrade",
                                                     "Close",
                                                     "Setattr",
                                                     "FsInfo",
                                                     "Renew",
                                                     "SetClientID",
                                                     "SetClientIDConfirm",
                                                     "Lock",
                                                     "Lockt",
                                                     "Locku",
                                                     "Access",
                                                     "Getattr",
                                                     "Lookup",
                                                     "LookupRoot",
                                                     "Remove",
                                                     "Rename",
                                                     "Link",
                                                     "Symlink",
                                                     "Create",
                                                     "Pathconf",
                                                     "StatFs",
                                                     "ReadLink",
                                                     "ReadDir",
                                                     "ServerCaps",
                                                     "DelegReturn",
                                                     "GetACL",
                                                     "SetACL",
                                                     "FsLocations",
                                                     "ReleaseLockowner",
                                                     "Secinfo",
                                                     "FsidPresent",
                                                     "ExchangeID",
                                                     "CreateSession",
                                                     "DestroySession",
                                                     "Sequence",
                                                     "GetLeaseTime",
                                                     "ReclaimComplete",
                                                     "LayoutGet",
                                                     "GetDeviceInfo",
                                                     "LayoutCommit",
                                                     "LayoutReturn",
                                                     "SecinfoNoName",
                                                     "TestStateID",
                                                     "FreeStateID",
                                                     "GetDeviceList",
                                                     "BindConnToSession",
                                                     "DestroyClientID",
                                                     "Seek",
                                                     "Allocate",
                                                     "DeAllocate",
                                                     "LayoutStats",
                                                     "Clone"};
// Numbers 0 to 2 stand for nothing.
constexpr std::array<std::string_view, 40> kServerV4{"",
                                                     "",
                                                     "",
                                                     "Access",
                                                     "Close",
                                                     "Commit",
                                                     "Create",
                                                     "DelegPurge",
                                                     "DelegReturn",
                                                     "GetAttr",
                                                     "GetFH",
                                                     "Link",
                                                     "Lock",
                                                     "Lockt",
                                                     "Locku",
                                                     "Lookup",
                                                     "LookupRoot",
                                                     "Nverify",
                                                     "Open",
                                                     "OpenAttr",
                                                     "OpenConfirm",
                                                     "OpenDgrd",
                                                     "PutFH",
                                                     "",
                                                     "",
                                                     "Read",
                                                     "ReadDir",
                                                     "ReadLink",
                                                     "Remove",
                                                     "Rename",
                                                     "Renew",
                                                     "RestoreFH",
                                                     "SaveFH",
                                                     "SecInfo",
                                                     "SetAttr",
                                                     "",
                                                     "",
                                                     "Verify",
                                                     "Write",
                                                     "RelLockOwner"};

using Numbers = std::vector<double>;

// Calls take(name, numbers) for each line; false when one has something else than numbers, or take says so.
template <class Take>
Result<> each_numbers(std::string_view text, std::string_view path, Take&& take) {
  bool good = true;
  Numbers numbers;
  each_line(text, [&](std::string_view line) {
    Words words(line);
    const std::string_view name = words.next();
    if (name.empty()) return;
    numbers.clear();
    for (std::string_view word = words.next(); !word.empty() && numbers.size() < 256; word = words.next()) {
      // Histograms of the read-ahead cache and of threads have decimals.
      const auto value = value_of(word);
      if (!value) good = false;
      numbers.push_back(value.value_or(0));
    }
    if (good && !take(name, numbers)) good = false;
  });
  return good ? Result<>{} : Result<>(fail(Code::invalid_argument, std::string(path) + " is malformed"));
}

// "proc3 22 0 12 ...": a count of procedures, then a number for each. Procedures that a release lacks count 0.
bool add_methods(const MetricDescriptor& family, std::span<const std::string_view> names, std::string_view proto,
                 const Numbers& numbers, bool pad, SampleBatch& batch) {
  if (numbers.empty() || numbers[0] != static_cast<double>(numbers.size() - 1)) return false;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i].empty() || (!pad && i + 1 >= numbers.size())) continue;
    batch.add(family, i + 1 < numbers.size() ? numbers[i + 1] : 0, {names[i], proto});
  }
  return true;
}

bool add_client_line(std::string_view name, const Numbers& n, SampleBatch& batch) {
  if (name == "net" && n.size() >= 4) {
    batch.add(kClient[0], n[1], {"udp"});
    batch.add(kClient[0], n[2], {"tcp"});
    batch.add(kClient[1], n[3]);
    return true;
  }
  if (name == "rpc" && n.size() >= 3) {
    for (std::size_t i = 0; i < 3; ++i)
      batch.add(kClient.at(i + 2), n[i]);
    return true;
  }
  if (name == "proc2") return add_methods(kClient[5], kV2, "2", n, false, batch);
  if (name == "proc3") return add_methods(kClient[5], kV3, "3", n, false, batch);
  if (name == "proc4") return add_methods(kClient[5], kClientV4, "4", n, true, batch);
  return name != "net" && name != "rpc";
}

bool add_server_rest(std::string_view name, const Numbers& n, SampleBatch& batch) {
  const std::span<const std::string_view> without_null2 = std::span(kV2).subspan(1);
  const std::span<const std::string_view> without_null3 = std::span(kV3).subspan(1);
  const auto rest = [&](std::span<const std::string_view> names, std::string_view proto) {
    if (n.size() < names.size() + 2 || n[0] != static_cast<double>(n.size() - 1)) return false;
    for (std::size_t i = 0; i < names.size(); ++i)
      batch.add(kServer[13], n[i + 2], {names[i], proto});
    return true;
  };
  // The server does not give the null procedure.
  if (name == "proc2") return rest(without_null2, "2");
  if (name == "proc3") return rest(without_null3, "3");
  if (name == "proc4ops") return add_methods(kServer[13], kServerV4, "4", n, false, batch);
  return true;
}

bool add_server_line(std::string_view name, const Numbers& n, SampleBatch& batch) {
  const auto add = [&](std::size_t family, std::size_t at) { batch.add(kServer.at(family), n[at]); };
  if (name == "rc" && n.size() >= 3) {
    for (std::size_t i = 0; i < 3; ++i)
      add(i, i);
  } else if (name == "fh" && !n.empty()) {
    add(3, 0);
  } else if (name == "io" && n.size() >= 2) {
    add(4, 0);
    add(5, 1);
  } else if (name == "th" && !n.empty()) {
    add(6, 0);
  } else if (name == "ra" && n.size() >= 12) {
    add(7, 0);
    add(8, 11);
  } else if (name == "net" && n.size() >= 4) {
    batch.add(kServer[9], n[1], {"udp"});
    batch.add(kServer[9], n[2], {"tcp"});
    add(10, 3);
  } else if (name == "rpc" && n.size() >= 5) {
    batch.add(kServer[11], n[2], {"fmt"});
    batch.add(kServer[11], n[3], {"auth"});
    batch.add(kServer[11], n[4], {"cInt"});
    add(12, 0);
  } else {
    return add_server_rest(name, n, batch);
  }
  return true;
}

}  // namespace

Collector nfs_collector(const Root& root) {
  return file_collector("nfs", kClientAll, root, "/proc/net/rpc/nfs", [](std::string_view text, SampleBatch& batch) {
    return each_numbers(text, "/proc/net/rpc/nfs", [&batch](std::string_view name, const Numbers& numbers) {
      return add_client_line(name, numbers, batch);
    });
  });
}

Collector nfsd_collector(const Root& root) {
  return file_collector("nfsd", kServerAll, root, "/proc/net/rpc/nfsd", [](std::string_view text, SampleBatch& batch) {
    return each_numbers(text, "/proc/net/rpc/nfsd", [&batch](std::string_view name, const Numbers& numbers) {
      return add_server_line(name, numbers, batch);
    });
  });
}

}  // namespace omnitide::discovery
