#include <fmt/format.h>
#include <sys/statvfs.h>

#include "discovery/sources/catalogue.hpp"
#include "discovery/sources/mounts.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/fixture.hpp"
#include "tests/harness/readings.hpp"

using namespace omnitide;
using namespace omnitide::discovery;
using namespace omnitide::test;
using model::Filesystem;
using Names = std::vector<std::string>;

namespace {

Names mount_points(const Reading& reading) {
  Names out;
  for (const Filesystem& filesystem : reading.facts.storage.filesystems)
    out.push_back(filesystem.mount_point);
  return out;
}

}  // namespace

TEST_CASE("mounted filesystems are those with content: no kernel interfaces, bind mounts, containers' layers") {
  const Reading reading = read_source(filesystem_source(), fixture("server-numa"));
  CHECK(reading.problems.empty());
  CHECK(mount_points(reading) ==
        Names{"/", "/boot/efi", "/data", "/home", "/mnt/nfs", "/mnt/nfs/scratch", "/srv/cold archive", "/tmp"});
  const Filesystem& root = item(reading.facts.storage.filesystems, &Filesystem::mount_point, "/");
  CHECK(root.device == "/dev/mapper/vg0-root");
  CHECK(root.type == "ext4");
  CHECK(root.options == Names{"rw", "relatime", "errors=remount-ro"});
}

TEST_CASE("a filesystem that is read-only makes its mounts so") {
  const Reading reading = read_source(filesystem_source(), fixture("server-numa"));
  const Filesystem& archive = item(reading.facts.storage.filesystems, &Filesystem::mount_point, "/srv/cold archive");
  CHECK(archive.options == Names{"ro", "noatime", "attr2"});
}

TEST_CASE("a tmpfs has its size from its options where nothing can be asked") {
  const Reading reading = read_source(filesystem_source(), fixture("server-numa"));
  CHECK(item(reading.facts.storage.filesystems, &Filesystem::mount_point, "/tmp").size_bytes == 2ULL << 30U);
}

TEST_CASE("the uppermost of several mounts on one path is the one that counts") {
  const MountTable table = parse_mountinfo(
      "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n21 20 8:2 / /data rw - ext4 /dev/sda2 rw\n"
      "22 20 8:3 / /data rw shared:1 master:2 - xfs /dev/sda3 rw\n");
  const std::vector<Mount> mounts = select_filesystems(table.mounts);
  REQUIRE(mounts.size() == 2);
  CHECK(mounts[1].source == "/dev/sda3");
}

TEST_CASE("escapes of mount points are decoded, and what is none is left as it is") {
  const MountTable table = parse_mountinfo("20 1 8:1 / /a\\040b\\134c\\09\\ rw - ext4 /dev/sd\\012a rw\n");
  REQUIRE(table.mounts.size() == 1);
  CHECK(table.mounts[0].mount_point == "/a b\\c\\09\\");
  CHECK(table.mounts[0].source == "/dev/sd\na");
}

TEST_CASE("a container that sees only bind mounts of a device shows one of them") {
  const MountTable table = parse_mountinfo(
      "20 1 0:50 / / rw - overlay overlay rw\n21 20 8:1 /var/lib/x/hosts /etc/hosts rw - ext4 /dev/sda1 rw\n"
      "22 20 8:1 /var/lib/x/resolv.conf /etc/resolv.conf rw - ext4 /dev/sda1 rw\n");
  const std::vector<Mount> mounts = select_filesystems(table.mounts);
  REQUIRE(mounts.size() == 2);
  CHECK(mounts[0].mount_point == "/");
  CHECK(mounts[1].mount_point == "/etc/hosts");
}

TEST_CASE("network, FUSE and host filesystems are never asked for their size") {
  for (const char* type : {"nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "fuse", "fuseblk", "fuse.sshfs", "virtiofs"})
    CHECK(may_hang(type));
  for (const char* type : {"ext4", "xfs", "btrfs", "vfat", "tmpfs", "zfs"})
    CHECK_FALSE(may_hang(type));
}

TEST_CASE("lines of mountinfo that are cut or noise are counted and left out") {
  const Reading reading = read_source(filesystem_source(), fixture("hostile"));
  REQUIRE(reading.problems.size() == 1);
  CHECK(mount_points(reading) == Names{"/a\\04"});
  CHECK(parse_mountinfo("\n\n").malformed == 0);
  CHECK(parse_mountinfo("1 2 3:4 / / rw -").malformed == 1);
  CHECK(parse_mountinfo("1 2 3:4 / / rw a b c d e f").malformed == 1);
}

TEST_CASE("more filesystems than can be listed are cut off with a problem") {
  std::string text;
  for (int i = 0; i < 600; ++i)
    text += fmt::format("20 1 8:{} / /m{:03} rw - ext4 /dev/x{} rw\n", i, i, i);
  const Reading reading = read_source(filesystem_source(), TempTree().file("proc/self/mountinfo", text).root());
  CHECK(reading.facts.storage.filesystems.size() == 512);
  CHECK(reading.problems.size() == 1);
}

TEST_CASE("this machine's root filesystem has a size, and its free space is a sample") {
  const Reading reading = read_source(filesystem_source(), *Root::open("/"));
  const Filesystem& root = item(reading.facts.storage.filesystems, &Filesystem::mount_point, "/");
  CHECK(root.size_bytes.value_or(0) > 0);
  const std::vector<std::string> labels{root.device, root.type, "/"};
  CHECK(sample(reading, "node_filesystem_size_bytes", labels) == static_cast<double>(root.size_bytes.value_or(0)));
  CHECK(sample(reading, "node_filesystem_avail_bytes", labels) <=
        sample(reading, "node_filesystem_free_bytes", labels));
}

TEST_CASE("in a container the mounts are those of the first process, and are sized where the host's tree is mounted") {
  TempTree tree;
  tree.folder("srv/data").folder("only/here");
  tree.file("proc/1/mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n23 22 8:2 / /srv/data rw - ext4 /dev/sda2 rw\n");
  tree.file("proc/self/mountinfo", "24 1 8:3 / /only/here rw - ext4 /dev/sda3 rw\n");
  const Result<Root> host = Root::machine(tree.path());
  REQUIRE(host.has_value());
  const Reading reading = read_source(filesystem_source(), *host);
  CHECK(mount_points(reading) == std::vector<std::string>{"/", "/srv/data"});
  struct statvfs expected {};
  REQUIRE(::statvfs((tree.path() + "/srv/data").c_str(), &expected) == 0);
  const Filesystem& data = item(reading.facts.storage.filesystems, &Filesystem::mount_point, "/srv/data");
  CHECK(data.size_bytes == std::uint64_t{expected.f_blocks} * expected.f_frsize);
}
