
#include <memory>

#include "discovery/sources/catalogue.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/fixture.hpp"
#include "tests/harness/loop_device.hpp"
#include "tests/harness/readings.hpp"

using namespace omnitide;
using namespace omnitide::test;
using model::BlockDevice;
using Names = std::vector<std::string>;

namespace {

const BlockDevice& device(const Reading& reading, std::string_view name) {
  return item(reading.facts.storage.devices, &BlockDevice::name, name);
}

}  // namespace

TEST_CASE("a SATA disk tells model, serial from its vital product data, WWN, NUMA node and partitions") {
  const Reading reading = read_source(discovery::block_source(), fixture("server-numa"));
  CHECK(reading.problems.empty());
  const BlockDevice& disk = device(reading, "sda");
  CHECK(disk.kind == "disk");
  CHECK(disk.model == "ST4000NM0035-1V4");
  CHECK(disk.serial == "ZC1ABCDE");
  CHECK(disk.wwn == "naa.5000c500a1b2c3d4");
  CHECK(disk.transport == "sata");
  CHECK(disk.size_bytes == 4000787030016);
  CHECK(disk.logical_sector_bytes == 512);
  CHECK(disk.physical_sector_bytes == 4096);
  CHECK(disk.rotational == true);
  CHECK(disk.scheduler == "mq-deadline");
  CHECK(disk.zoned == "none");
  CHECK(disk.numa_node == 0);
  const BlockDevice& part = device(reading, "sda1");
  CHECK(part.kind == "partition");
  CHECK(part.parent == "sda");
  CHECK(part.partition_name == "archive");
  CHECK(part.partition_uuid == "0f0f0f0f-0001-4000-8000-000000000001");
  CHECK(part.size_bytes == 7814035087ULL * 512);
}

TEST_CASE("a partition whose UUID the kernel does not state has it from udev's database") {
  const Reading reading = read_source(discovery::block_source(), fixture("server-numa"));
  CHECK(device(reading, "nvme0n1p1").partition_uuid == "0f0f0f0f-0002-4000-8000-000000000001");
}

TEST_CASE("a multipath NVMe namespace is one disk, its path is none") {
  const Reading reading = read_source(discovery::block_source(), fixture("server-numa"));
  CHECK(device(reading, "nvme1n1").transport == "nvme");
  CHECK(device(reading, "nvme1n1").serial == "S437NX0K100002");
  CHECK_FALSE(has(reading.facts.storage.devices, &BlockDevice::name, "nvme1c1n1"));
}

TEST_CASE("stacks of md and dm name what they stand on") {
  const Reading reading = read_source(discovery::block_source(), fixture("server-numa"));
  const BlockDevice& array = device(reading, "md0");
  CHECK(array.kind == "md");
  CHECK(array.md_level == "raid1");
  CHECK(array.stands_on == Names{"nvme0n1p2", "nvme1n1p1"});
  const BlockDevice& volume = device(reading, "dm-0");
  CHECK(volume.dm_name == "vg0-root");
  CHECK(volume.stands_on == Names{"md0"});
  CHECK(device(reading, "dm-1").dm_uuid == "CRYPT-LUKS2-c3d4");
  CHECK(device(reading, "dm-1").stands_on == Names{"dm-0"});
}

TEST_CASE("an array's state does not change with each write, and says when it is degraded") {
  TempTree tree("server-numa");
  const std::string folder = "sys/devices/virtual/block/md0/md/";
  for (const char* state : {"clean", "active", "active-idle", "write-pending"}) {
    tree.file(folder + "array_state", state);
    CHECK(device(read_source(discovery::block_source(), tree.root()), "md0").md_state == "active");
  }
  tree.file(folder + "degraded", "1\n");
  CHECK(device(read_source(discovery::block_source(), tree.root()), "md0").md_state == "degraded");
  tree.file(folder + "array_state", "inactive\n");
  CHECK(device(read_source(discovery::block_source(), tree.root()), "md0").md_state == "inactive");
}

TEST_CASE("a drive for discs is removable and of kind rom") {
  const Reading reading = read_source(discovery::block_source(), fixture("server-numa"));
  CHECK(device(reading, "sr0").kind == "rom");
  CHECK(device(reading, "sr0").removable);
}

TEST_CASE("eMMC and SD cards tell name, serial and read-only boot areas") {
  const Reading reading = read_source(discovery::block_source(), fixture("sbc-arm64"));
  CHECK(device(reading, "mmcblk0").transport == "mmc");
  CHECK(device(reading, "mmcblk0").model == "DG4032");
  CHECK(device(reading, "mmcblk0").serial == "0x1a2b3c4d");
  CHECK(device(reading, "mmcblk0p2").parent == "mmcblk0");
  CHECK(device(reading, "mmcblk0boot0").read_only);
  CHECK(device(reading, "mmcblk1").model == "SC32G");
}

TEST_CASE("a virtio disk tells serial and transport; a loop device its backing file") {
  const Reading reading = read_source(discovery::block_source(), fixture("vm-virtio"));
  CHECK(device(reading, "vda").serial == "disk-0001");
  CHECK(device(reading, "vda").transport == "virtio");
  CHECK(device(reading, "vda").driver == "virtio_blk");
  CHECK(device(reading, "loop0").stands_on == Names{"/var/lib/images/tools.squashfs"});
  CHECK(device(reading, "loop0").read_only);
}

TEST_CASE("a virtio disk is not asked for a serial that udev knows") {
  TempTree tree("vm-virtio");
  tree.fifo("sys/devices/pci0000:00/0000:00:02.0/virtio1/block/vda/serial");
  tree.file("run/udev/data/b254:0", "S:disk/by-id/virtio-known\nE:ID_SERIAL=known\n");
  const Reading reading = read_source(discovery::block_source(), tree.root());
  CHECK(device(reading, "vda").serial == "known");
  CHECK(reading.problems.empty());
}

TEST_CASE("loop, ram and zram devices without a size are no facts, those with one are") {
  const Reading reading = read_source(discovery::block_source(), fixture("vm-virtio"));
  CHECK_FALSE(has(reading.facts.storage.devices, &BlockDevice::name, "loop1"));
  CHECK_FALSE(has(reading.facts.storage.devices, &BlockDevice::name, "zram0"));
  const Reading board = read_source(discovery::block_source(), fixture("sbc-arm64"));
  CHECK(device(board, "zram0").size_bytes == 1U << 30U);
  CHECK_FALSE(has(board.facts.storage.devices, &BlockDevice::name, "ram0"));
}

TEST_CASE("garbage of block devices is a problem each, and never an escape sequence in the facts") {
  const Reading reading = read_source(discovery::block_source(), fixture("hostile"));
  CHECK(reading.problems.size() > 10);
  const BlockDevice& disk = device(reading, "sda");
  CHECK(disk.size_bytes == 0);
  CHECK(disk.serial == "short");  // the page says 65535 bytes and has five
  for (const BlockDevice& each : reading.facts.storage.devices) {
    CHECK(each.model.find('\x1b') == std::string::npos);
    CHECK(each.wwn.find('\x1b') == std::string::npos);
    CHECK(each.model.size() <= 300);
  }
}

TEST_CASE("an attribute that is a FIFO or without end neither blocks nor fills memory") {
  TempTree tree("vm-virtio");
  const std::string disk = "sys/devices/pci0000:00/0000:00:02.0/virtio1/block/vda/";
  tree.fifo(disk + "serial").huge(disk + "queue/scheduler", 1ULL << 40U);
  const Reading reading = read_source(discovery::block_source(), tree.root());
  CHECK(reading.problems.size() == 2);
  CHECK(device(reading, "vda").size_bytes == 41943040ULL * 512);
}

TEST_CASE("without /sys/block there are no disks and no problem") {
  const Reading reading = read_source(discovery::block_source(), TempTree().root());
  CHECK(reading.facts.storage.devices.empty());
  CHECK(reading.problems.empty());
}

TEST_CASE("a loop device attached to this machine is found with its file and goes again") {
  const auto loop = std::make_unique<LoopDevice>();
  const Root machine = *Root::open("/");
  Reading reading = read_source(discovery::block_source(), machine);
  CHECK(device(reading, loop->name()).kind == "loop");
  CHECK(device(reading, loop->name()).size_bytes == LoopDevice::kBytes);
  CHECK(device(reading, loop->name()).stands_on == Names{loop->file()});
  loop->detach();
  reading = read_source(discovery::block_source(), machine);
  CHECK_FALSE(has(reading.facts.storage.devices, &BlockDevice::name, loop->name()));
}
