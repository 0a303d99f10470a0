// The part of collector_tree.hpp that is about hardware: files of sysfs.
#pragma once

#include "tests/harness/files.hpp"
#include "tests/harness/fixture.hpp"

namespace omnitide::test {

inline void add_storage(TempTree& tree) {
  put(tree, "run/udev/data",
      {{"b8:0",
        "S:disk/by-id/"
        "x\nE:ID_MODEL=ST3000\nE:ID_PATH=pci-0000:00:1f.2-ata-1\nE:ID_REVISION=CC26\nE:ID_SERIAL=ST_1\nE:ID_SERIAL_"
        "SHORT=1\n"
        "E:SCSI_IDENT_SERIAL=ABC\nE:ID_WWN=0x5000\nE:ID_ATA=1\nE:ID_ATA_WRITE_CACHE=1\nE:ID_ATA_WRITE_CACHE_ENABLED="
        "0\nE:ID_ATA_ROTATION_RATE_RPM=7200"},
       {"b252:0",
        "E:DM_NAME=vg0-lv0\nE:DM_UUID=LVM-x\nE:DM_VG_NAME=vg0\nE:DM_LV_NAME=lv0\nE:ID_FS_TYPE=ext4\nE:ID_FS_USAGE="
        "filesystem\nE:ID_FS_UUID=u\nE:ID_FS_VERSION=1.0"},
       {"b259:0", "E:ID_MODEL=SAMSUNG\nE:ID_SERIAL=S680"}});
  put(tree, "sys/class/nvme/nvme0",
      {{"firmware_rev", "1B2QEXP7"},
       {"model", "Samsung SSD 970 PRO 512GB"},
       {"serial", "S680HF8N190894I"},
       {"state", "live"}});
  put(tree, "sys/class/scsi_tape/st0/stats",
      {{"in_flight", "1"},
       {"io_ns", "9247011087720"},
       {"other_cnt", "1409"},
       {"read_byte_cnt", "979383912"},
       {"read_cnt", "3741"},
       {"read_ns", "33788355744"},
       {"resid_cnt", "19"},
       {"write_byte_cnt", "1496246784000"},
       {"write_cnt", "53772916"},
       {"write_ns", "5233597394395"}});
  const std::string cache = "sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74";
  put(tree, cache,
      {{"average_key_size", "0"},
       {"btree_cache_size", "1.5M"},
       {"cache_available_percent", "100"},
       {"congested", "0"},
       {"root_usage_percent", "3"},
       {"tree_depth", "1"}});
  put(tree, cache + "/internal",
      {{"active_journal_entries", "1"},
       {"btree_nodes", "2"},
       {"btree_read_average_duration_us", "1305"},
       {"cache_read_races", "4"}});
  put(tree, cache + "/bdev0",
      {{"dirty_data", "0"},
       {"writeback_rate_debug",
        "rate:\t\t1.1M/"
        "sec\ndirty:\t\t20.4G\ntarget:\t\t20.4G\nproportional:\t427.5k\nintegral:\t790.0k\nchange:\t\t321.5k/sec\nnext "
        "io:\t17ms"}});
  for (const std::string period : {"stats_day", "stats_five_minute", "stats_hour", "stats_total"})
    put(tree, cache + "/bdev0/" + period,
        {{"bypassed", "3.0k"},
         {"cache_bypass_hits", "1"},
         {"cache_bypass_misses", "2"},
         {"cache_hits", "546"},
         {"cache_miss_collisions", "3"},
         {"cache_misses", "4"},
         {"cache_readaheads", "5"}});
  put(tree, cache + "/cache0",
      {{"io_errors", "0"},
       {"metadata_written", "512"},
       {"written", "1.0k"},
       {"priority_stats",
        "Unused:         99%\nMetadata:       0%\nAverage:        10473\nSectors per Q:  64\nQuantiles:      [0 0]"}});
  put(tree, "sys/fs/xfs/sda1/stats",
      {{"stats",
        "extent_alloc 1 0 2 0\nabt 0 1 2 3\nblk_map 61 29 3 1 2 91 4\nbmbt 0 1 2 3\ndir 3 2 1 6\ntrans 4 40 0\nig 5 1 "
        "2 4 3 6 1\nlog 8 21 0 5821 4\nrw 28 4\nattr 5 1 0 0\nvnodes 4 1 2 3 5 6 7 0\nxpc 399724544 92823103 "
        "86219234\ndebug 0"}});
  const std::string btrfs = "sys/fs/btrfs/0abb23a9-579b-43e6-ad30-227ef47fcb9d";
  put(tree, btrfs,
      {{"label", "fixture"},
       {"commit_stats", "commits 258051\nlast_commit_ms 1000\nmax_commit_ms 51462\ntotal_commit_ms 47836090"},
       {"clone_alignment", "4096"},
       {"nodesize", "16384"},
       {"sectorsize", "4096"},
       {"quota_override", "0"},
       {"metadata_uuid", "0abb23a9-579b-43e6-ad30-227ef47fcb9d"}});
  put(tree, "sys/fs/btrfs/features", {{"raid56", "0"}});
  put(tree, btrfs + "/features", {{"skinny_metadata", "1"}});
  put(tree, btrfs + "/allocation", {{"global_rsv_reserved", "16777216"}, {"global_rsv_size", "16777216"}});
  for (const auto& [type, mode] :
       {std::pair<std::string, std::string>{"data", "raid0"}, {"metadata", "raid6"}, {"system", "raid1"}}) {
    const std::string at = btrfs + "/allocation/" + type;
    put(tree, at,
        {{"bytes_may_use", "0"},
         {"bytes_pinned", "0"},
         {"bytes_readonly", "0"},
         {"bytes_reserved", "7"},
         {"bytes_used", "808189952"},
         {"disk_total", "2147483648"},
         {"disk_used", "808189952"},
         {"flags", "1"},
         {"total_bytes", "2147483648"},
         {"total_bytes_pinned", "0"}});
    put(tree, at + "/" + mode, {{"total_bytes", "2147483648"}, {"used_bytes", "808189952"}});
  }
  for (const std::string disk : {"loop25", "loop26", "loop27", "loop28"}) {
    tree.link(btrfs + "/devices/" + disk, "../../../../class/block/" + disk);
    put(tree, "sys/class/block/" + disk, {{"size", "20971520"}});
  }
}

inline void add_zfs(TempTree& tree) {
  const auto kstat = [](std::string_view rows) {
    return "6 1 0x01 91 4368 5266997922 97951858082072\nname                            type data\n" +
           std::string(rows);
  };
  for (const std::string name : {"abdstats", "dbufstats", "dmu_tx", "dnodestats", "fm", "vdev_cache_stats",
                                 "vdev_mirror_stats", "xuio_stats", "zfetchstats", "zil"})
    tree.file("proc/spl/kstat/zfs/" + name, kstat("some-hits 4 7067992\nother 3 11\nname_of 7 text\n"));
  tree.file("proc/spl/kstat/zfs/arcstats",
            kstat("hits                            4    8772612\nmemory_available_bytes          3    922337203\n"));
  tree.file("proc/spl/kstat/zfs/pool1/io",
            "12 3 0x00 1 80 79205351707403 395818011156865\nnread    nwritten reads    writes   wtime    wlentime "
            "wupdate  rtime    rlentime rupdate  wcnt     rcnt\n"
            "1884160  3206144  22       132      7155162  104112268 79210489694949 24168078 104112268 79210489849220 0 "
            "       0\n");
  tree.file("proc/spl/kstat/zfs/pool1/state", "ONLINE\n");
  tree.file("proc/spl/kstat/zfs/pool1/objset-1",
            kstat("dataset_name                    7    pool1/dataset1\nwrites                          4    "
                  "4\nnwritten                        4    12302\n"));
}

inline void add_fabrics(TempTree& tree) {
  const std::string hca = "sys/class/infiniband/mlx4_0";
  put(tree, hca, {{"board_id", "SM_1141000001000"}, {"fw_ver", "2.31.5050"}, {"hca_type", "MT4099"}});
  put(tree, hca + "/ports/1", {{"state", "4: ACTIVE"}, {"phys_state", "5: LinkUp"}, {"rate", "40 Gb/sec (4X QDR)"}});
  put(tree, hca + "/ports/1/counters",
      {{"excessive_buffer_overrun_errors", "0"},
       {"link_downed", "1"},
       {"link_error_recovery", "2"},
       {"local_link_integrity_errors", "3"},
       {"port_rcv_constraint_errors", "4"},
       {"port_rcv_data", "2221223609"},
       {"port_rcv_errors", "5"},
       {"port_rcv_packets", "87169372"},
       {"port_rcv_remote_physical_errors", "6"},
       {"port_rcv_switch_relay_errors", "7"},
       {"port_xmit_constraint_errors", "8"},
       {"port_xmit_data", "26509113295"},
       {"port_xmit_discards", "9"},
       {"port_xmit_packets", "85734114"},
       {"port_xmit_wait", "3599"},
       {"symbol_error", "10"},
       {"VL15_dropped", "N/A (no PMA)"},
       {"unicast_rcv_packets", "61148"},
       {"unicast_xmit_packets", "61239"},
       {"multicast_rcv_packets", "93"},
       {"multicast_xmit_packets", "16"}});
  put(tree, hca + "/ports/1/counters_ext",
      {{"port_multicast_rcv_packets", "93"},
       {"port_multicast_xmit_packets", "16"},
       {"port_rcv_data_64", "4631917"},
       {"port_rcv_packets_64", "1825"},
       {"port_unicast_rcv_packets", "61148"},
       {"port_unicast_xmit_packets", "61239"},
       {"port_xmit_data_64", "3733440"},
       {"port_xmit_packets_64", "6235"}});
  const std::string host = "sys/class/fc_host/host0";
  put(tree, host,
      {{"dev_loss_tmo", "30"},
       {"fabric_name", "0x0"},
       {"node_name", "0x2000e0071bce95f2"},
       {"port_id", "0x000002"},
       {"port_name", "0x1000e0071bce95f2"},
       {"port_state", "Online"},
       {"port_type", "Point-To-Point (direct nport connection)"},
       {"speed", "16 Gbit"},
       {"supported_classes", "Class 3"},
       {"supported_speeds", "4 Gbit, 8 Gbit, 16 Gbit"},
       {"symbolic_name", "Emulex SN1100E2P"}});
  put(tree, host + "/statistics",
      {{"dumped_frames", "0xffffffffffffffff"},
       {"error_frames", "0x0"},
       {"fcp_packet_aborts", "0x13"},
       {"invalid_crc_count", "0x2"},
       {"invalid_tx_word_count", "0x8"},
       {"link_failure_count", "0x9"},
       {"loss_of_signal_count", "0x11"},
       {"loss_of_sync_count", "0x10"},
       {"nos_count", "0x12"},
       {"rx_frames", "0x3"},
       {"rx_words", "0x4"},
       {"seconds_since_last_reset", "0x7"},
       {"tx_frames", "0x5"},
       {"tx_words", "0x6"}});
}

inline void add_platform(TempTree& tree) {
  put(tree, "sys/class/dmi/id", {{"bios_date", "04/12/2021"},     {"bios_release", "2.2"},
                                 {"bios_vendor", "Dell Inc."},    {"bios_version", "2.2.4"},
                                 {"board_name", "07PXPY"},        {"board_serial", ".7N62AI2.GRTCL6944100GP."},
                                 {"board_vendor", "Dell Inc."},   {"board_version", "A01"},
                                 {"chassis_asset_tag", ""},       {"chassis_serial", "7N62AI2"},
                                 {"chassis_vendor", "Dell Inc."}, {"chassis_version", ""},
                                 {"product_family", "PowerEdge"}, {"product_name", "PowerEdge R6515"},
                                 {"product_serial", "7N62AI2"},   {"product_sku", "SKU=NotProvided"},
                                 {"product_uuid", "83340ca8"},    {"product_version", ""},
                                 {"sys_vendor", "Dell Inc."},     {"chassis_type", "23"},
                                 {"modalias", "dmi:bvn"},         {"uevent", "MODALIAS=dmi"}});
  put(tree, "sys/devices/system/edac/mc/mc0",
      {{"ce_count", "1"}, {"ce_noinfo_count", "2"}, {"ue_count", "5"}, {"ue_noinfo_count", "6"}});
  put(tree, "sys/devices/system/edac/mc/mc0/csrow0", {{"ce_count", "3"}, {"ue_count", "4"}});
  for (const std::string cpu : {"cpu0", "cpu1"}) {
    const std::string at = "sys/devices/system/cpu/" + cpu;
    put(tree, at + "/topology", {{"core_id", cpu == "cpu0" ? "0" : "1"}, {"physical_package_id", "0"}});
    put(tree, at + "/thermal_throttle",
        {{"core_throttle_count", cpu == "cpu0" ? "5" : "0"}, {"package_throttle_count", "30"}});
    put(tree, at + "/cpufreq",
        {{"cpuinfo_cur_freq", "1699981"},
         {"cpuinfo_max_freq", "3700000"},
         {"cpuinfo_min_freq", "800000"},
         {"scaling_cur_freq", "1699981"},
         {"scaling_max_freq", "3700000"},
         {"scaling_min_freq", "800000"},
         {"cpuinfo_transition_latency", "0"},
         {"related_cpus", "0"},
         {"scaling_available_governors", "performance powersave"},
         {"scaling_driver", "intel_pstate"},
         {"scaling_governor", "powersave"},
         {"scaling_setspeed", "<unsupported>"}});
  }
  put(tree, "sys/devices/system/clocksource/clocksource0",
      {{"available_clocksource", "tsc hpet acpi_pm"}, {"current_clocksource", "tsc"}});
  put(tree, "sys/class/watchdog/watchdog0",
      {{"bootstatus", "1"},
       {"fw_version", "2"},
       {"identity", "Software Watchdog"},
       {"nowayout", "0"},
       {"options", "0x8380"},
       {"pretimeout", "120"},
       {"pretimeout_governor", "noop"},
       {"state", "active"},
       {"status", "0x8000"},
       {"timeleft", "300"},
       {"timeout", "60"},
       {"access_cs0", "0"}});
}

inline void add_sensors(TempTree& tree) {
  const std::string core = "sys/devices/platform/coretemp.0";
  put(tree, core + "/hwmon/hwmon0",
      {{"name", "coretemp"},
       {"temp1_crit", "100000"},
       {"temp1_crit_alarm", "0"},
       {"temp1_input", "55000"},
       {"temp1_label", "Physical id 0"},
       {"temp1_max", "84000"},
       {"temp2_input", "54000"}});
  tree.link(core + "/hwmon/hwmon0/device", "../../../coretemp.0");
  tree.link("sys/class/hwmon/hwmon0", "../../devices/platform/coretemp.0/hwmon/hwmon0");
  const std::string board = "sys/devices/platform/nct6775.656";
  put(tree, board + "/hwmon/hwmon1",
      {{"name", "nct6779"},
       {"beep_enable", "1"},
       {"fan1_alarm", "0"},
       {"fan1_beep", "0"},
       {"fan1_input", "1098"},
       {"fan1_min", "0"},
       {"fan1_pulses", "2"},
       {"fan1_target", "27000"},
       {"in0_input", "792"},
       {"in0_max", "1744"},
       {"in0_label", "Vcore"},
       {"intrusion0_alarm", "1"},
       {"pwm1", "98"},
       {"pwm1_enable", "5"},
       {"curr1_input", "1500"},
       {"energy1_input", "2500000"},
       {"humidity1_input", "45000"},
       {"power1_average", "34125000"},
       {"power1_average_interval", "1000"},
       {"power1_accuracy", "990000"},
       {"power1_input", "0"},
       {"temp1_type", "4"},
       {"temp1_fault", "0"},
       {"update_interval", "1500"},
       {"cpu0_vid", "1200"},
       {"vrm", "110"}});
  tree.link(board + "/hwmon/hwmon1/device", "../../../nct6775.656");
  tree.link("sys/class/hwmon/hwmon1", "../../devices/platform/nct6775.656/hwmon/hwmon1");
  put(tree, "sys/class/thermal/thermal_zone0",
      {{"type", "bcm2835_thermal"}, {"temp", "49925"}, {"policy", "step_wise"}, {"mode", "enabled"}, {"passive", "0"}});
  put(tree, "sys/class/thermal/cooling_device0", {{"type", "Processor"}, {"cur_state", "0"}, {"max_state", "3"}});
  put(tree, "sys/class/power_supply/AC", {{"type", "Mains"}, {"online", "0"}});
  put(tree, "sys/class/power_supply/BAT0",
      {{"type", "Battery"},
       {"capacity", "81"},
       {"capacity_level", "Normal"},
       {"cycle_count", "0"},
       {"energy_full", "45070000"},
       {"energy_full_design", "47520000"},
       {"energy_now", "36580000"},
       {"manufacturer", "LGC"},
       {"model_name", "LNV-45N1"},
       {"power_now", "5002000"},
       {"present", "1"},
       {"serial_number", "38109"},
       {"status", "Discharging"},
       {"technology", "Li-ion"},
       {"voltage_min_design", "10800000"},
       {"voltage_now", "11660000"},
       {"temp", "301"},
       {"time_to_empty_now", "600"}});
  const std::string rapl = "sys/class/powercap/intel-rapl";
  put(tree, rapl, {{"enabled", "1"}});
  put(tree, rapl + ":0",
      {{"name", "package-0"}, {"energy_uj", "240422366267"}, {"max_energy_range_uj", "262143328850"}});
  put(tree, rapl + ":0:0", {{"name", "core"}, {"energy_uj", "118821284256"}, {"max_energy_range_uj", "262143328850"}});
  put(tree, rapl + ":a", {{"name", "package-10"}, {"energy_uj", "9"}, {"max_energy_range_uj", "262143328850"}});
}

}  // namespace omnitide::test
