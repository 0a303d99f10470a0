// A machine that has every sort of hardware that a collector knows: files of procfs and sysfs as the kernel writes
// them.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/harness/collector_hardware.hpp"
#include "tests/harness/files.hpp"
#include "tests/harness/fixture.hpp"

namespace omnitide::test {

inline void add_procfs(TempTree& tree) {
  put(tree, "proc",
      {{"loadavg", "0.21 0.37 0.39 1/719 19737"},
       {"meminfo",
        "MemTotal:       16042172 kB\nMemFree:          225472 kB\nActive(anon):    5448 kB\n"
        "HugePages_Total:       3\nHugepagesize:       2048 kB\nDirectMap4k:  251600 kB"},
       {"vmstat",
        "nr_free_pages 977769\npgpgin 7344136\npgpgout 1541180576\npswpin 1476\npswpout 35045\n"
        "pgfault 2320168809\npgmajfault 507162\noom_kill 3"},
       {"stat",
        "cpu  301854 612 111922 8979004 3552 2 3944 44 36 26\n"
        "cpu0 44490 19 21045 1087069 220 1 3410 2 2 1\ncpu1 47869 23 16474 1110787 591 0 46 0 3 2\n"
        "intr 8885917 17 0 0\nctxt 38014093\nbtime 1418183276\nprocesses 26442\nprocs_running 2\n"
        "procs_blocked 1\nsoftirq 5057579 250191 1481983 1647 211099 186066 0 1783454 622196 12499 508444"},
       {"schedstat",
        "version 15\ntimestamp 15819019232\n"
        "cpu0 498494191 0 3533438552 2553969831 3853684107 2465731542 2045936778163039 343796328169361 4767485306\n"
        "domain0 00000000,00000003 212499247 210112015\n"
        "cpu1 518377256 0 4155211005 2778589869 10466382 2867629021 1904686152592476 364107263788241 5145567945"},
       {"diskstats",
        "   1       0 ram0 0 0 0 0 0 0 0 0 0 0 0\n"
        "   8       0 sda 25354637 34367663 1003346126 18492372 28444756 11134226 505697032 63877960 0 9653880 "
        "82621804\n"
        "   8       1 sda1 250 0 2000 36 0 0 0 0 0 36 36\n"
        " 252       0 dm-0 59910002 0 1003337218 46229572 39231014 0 505696880 1158557800 0 11325968 1206301256\n"
        " 259       0 nvme0n1 47114 4 4643973 21650 1078320 43950 39451633 1011053 0 222766 1032546 11130 0 1555 1944 "
        "12 34"},
       {"mdstat",
        "Personalities : [linear] [multipath] [raid0] [raid1] [raid6] [raid5] [raid4] [raid10]\n\n"
        "md3 : active raid6 sda1[8] sdh1[7] sdg1[6] sdf1[5] sde1[11] sdd1[3] sdc1[10] sdb1[9] sdd1[10](S) sdd2[11](S)\n"
        "      5853468288 blocks super 1.2 level 6, 64k chunk, algorithm 2 [8/8] [UUUUUUUU]\n\n"
        "md127 : active raid1 sdi2[0] sdj2[1]\n      312319552 blocks [2/2] [UU]\n\n"
        "md0 : active raid1 sdk[2](S) sdi1[0] sdj1[1]\n      248896 blocks [2/2] [UU]\n\n"
        "md4 : inactive raid1 sda3[0](F) sdb3[1](S)\n      4883648 blocks\n\n"
        "md6 : active raid1 sdb2[2](F) sdc[1](S) sda2[0]\n      195310144 blocks [2/1] [U_]\n"
        "      [=>...................]  recovery =  8.5% (16775552/195310144) finish=17.0min speed=259783K/sec\n\n"
        "md8 : active raid1 sdb1[1] sda1[0] sdc[2](S) sde[3](S)\n      195310144 blocks [2/2] [UU]\n"
        "      [=>...................]  resync =  8.5% (16775552/195310144) finish=17.0min speed=259783K/sec\n\n"
        "md7 : active raid6 sdb1[0] sde1[3] sdd1[2] sdc1[1](F)\n"
        "      7813735424 blocks super 1.2 level 6, 512k chunk, algorithm 2 [4/3] [U_UU]\n"
        "      bitmap: 0/30 pages [0KB], 65536KB chunk\n\n"
        "md9 : active raid1 sdc2[2] sdd2[3] sdb2[1] sda2[0]\n      523968 blocks super 1.2 [4/4] [UUUU]\n"
        "      resync=DELAYED\n\n"
        "md11 : active (auto-read-only) raid1 sdb2[0] sdc2[1] sdc3[2](F) hda[4](S) ssdc2[3](S)\n"
        "      4190208 blocks super 1.2 [2/2] [UU]\n      resync=PENDING\n\n"
        "md101 : active raid0 sdb[2] sdd[1] sdc[0]\n      322560 blocks super 1.2 512k chunks\n\n"
        "unused devices: <none>"}});
  put(tree, "proc/pressure",
      {{"cpu", "some avg10=0.00 avg60=0.00 avg300=0.00 total=14036781"},
       {"io",
        "some avg10=0.18 avg60=0.34 avg300=0.10 total=159886802\nfull avg10=0.18 avg60=0.34 avg300=0.10 "
        "total=159229614"},
       {"memory", "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=12"}});
  put(tree, "proc/sys/fs", {{"file-nr", "1024\t0\t1631329"}});
  put(tree, "proc/sys/kernel/random", {{"entropy_avail", "1337"}, {"poolsize", "4096"}});
  put(tree, "proc/sys/kernel", {{"hung_task_detect_count", "2"}});
  put(tree, "proc/sys/net/netfilter", {{"nf_conntrack_count", "123"}, {"nf_conntrack_max", "65536"}});
  tree.file("etc/os-release",
            "NAME=\"Debian GNU/Linux\"\nID=debian\nVERSION_ID='12'\nPRETTY_NAME=\"A \\\"quoted\\\" one\"\n"
            "VERSION=\"12 (bookworm)\"\nVERSION_CODENAME=bookworm\n");
}

inline void add_network_files(TempTree& tree) {
  put(tree, "proc/net",
      {{"arp",
        "IP address       HW type     Flags       HW address            Mask     Device\n"
        "192.168.1.1      0x1         0x2         cc:aa:dd:ee:aa:bb     *        eth0\n"
        "192.168.1.2      0x1         0x2         bb:cc:dd:ee:ff:aa     *        eth0\n"
        "192.168.1.3      0x1         0x2         aa:bb:cc:dd:ee:ff     *        eth1"},
       {"netstat",
        "TcpExt: SyncookiesSent SyncookiesRecv ListenOverflows DelayedACKs\nTcpExt: 1 2 3 -4\n"
        "IpExt: InNoRoutes InOctets OutOctets\nIpExt: 0 6286396970 2786264347"},
       {"snmp",
        "Ip: Forwarding DefaultTTL\nIp: 1 64\nTcp: ActiveOpens PassiveOpens MaxConn InErrs\nTcp: 3556 230 -1 5\n"
        "Udp: InDatagrams NoPorts InErrors\nUdp: 88542 120 7"},
       {"snmp6",
        "Ip6InReceives                   \t7\nIp6InOctets                     \t460\nIp6OutOctets          \t536\n"
        "Icmp6InMsgs                     \t0\nUdp6InDatagrams                 \t0\nUdpLite6InErrors          \t9"},
       {"sockstat",
        "sockets: used 229\nTCP: inuse 4 orphan 0 tw 4 alloc 17 mem 1\nUDP: inuse 1 mem 2\nUDPLITE: inuse 0\n"
        "RAW: inuse 0\nFRAG: inuse 0 memory 0"},
       {"sockstat6", "TCP6: inuse 17\nUDP6: inuse 9\nUDPLITE6: inuse 0\nRAW6: inuse 1\nFRAG6: inuse 0 memory 0"},
       {"softnet_stat",
        "00049279 00000000 00000001 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000\n"
        "000dfb82 00000029 0000000a 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000"},
       {"udp",
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        "    0: 00000000:0016 00000000:0000 0A 00000010:00000015 00:00000000 00000000     0        0 2740 1 "
        "ffff88003d3af3c0 100 0 0 10 0"},
       {"udp6",
        "  sl  local_address                         remote_address                        st tx_queue rx_queue\n"
        "    0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 00000000:00000001 "
        "00:00000000 00000000     0        0 2741 1 ffff88003d3af3c0 0"},
       {"ip_vs_stats",
        "   Total Incoming Outgoing         Incoming         Outgoing\n   Conns  Packets  Packets            Bytes     "
        "       Bytes\n"
        " 16AA370 E33656E5        0     51D8C8883AB3        0\n\n Conns/s   Pkts/s   Pkts/s          Bytes/s          "
        "Bytes/s\n       4    1FB3C        0          1282A8F        0"}});
  // The kernel writes IPv6 addresses with colons.
  tree.file("proc/net/ip_vs",
            "IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n"
            "  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\nTCP  C0A80016:0CEA wlc\n"
            "  -> C0A85216:0CEA      Tunnel  100    248        2\n  -> C0A85318:0CEA      Tunnel  100    248        1\n"
            "UDP  C0A80039:0CEA wlc\n  -> C0A85416:0CEA      Tunnel  0      0          0\nFWM  10001000 wlc\n"
            "  -> C0A8321A:0CEA      Route   20     64         321\n"
            "TCP  [2620:0000:0000:0000:0000:0000:0000:0001]:0050 sh\n"
            "  -> [2620:0000:0000:0000:0000:0000:0000:0002]:0050      Route  1      2          3\n");
  put(tree, "proc/net/stat",
      {{"nf_conntrack",
        "entries  searched found new invalid ignore delete delete_list insert insert_failed drop early_drop icmp_error "
        " expect_new expect_create expect_delete search_restart\n"
        "00000021  00000000 00000000 00000000 00000003 00000588 00000000 00000000 00000000 00000000 00000000 00000000 "
        "00000000  00000000 00000000 00000000 00000000\n"
        "00000021  00000000 0000000a 00000000 00000002 000056a4 00000000 00000000 00000000 00000001 00000002 00000000 "
        "00000000  00000000 00000000 00000000 00000002"}});
  put(tree, "proc/net/rpc",
      {{"nfs",
        "net 70 70 69 45\nrpc 1218785755 374636 1218815394\nproc2 18 16 57 74 52 71 73 45 86 0 52 83 61 17 53 50 23 70 "
        "82\n"
        "proc3 22 0 1061909262 48906 4077635 117661341 5 29391916 2570425 2993289 590 0 0 7815 15 1130 0 3983 92385 "
        "13332 2 1 23729\n"
        "proc4 48 98 51 54 83 85 23 24 1 28 73 68 83 12 84 39 68 59 58 88 29 74 69 96 21 84 15 53 86 54 66 56 97 36 49 "
        "32 85 81 11 58 32 67 13 28 35 90 1 26 0"},
       {"nfsd",
        "rc 0 6 18622\nfh 0 0 0 0 0\nio 157286400 72864\nth 8 0 0.000 0.000 0.000 0.000 0.000 0.000 0.000 0.000 0.000 "
        "0.000\n"
        "ra 32 0 0 0 0 0 0 0 0 0 0 4\nnet 972 55 917 1\nrpc 18628 3 1 2 0\nproc2 18 2 69 0 0 4410 0 0 0 0 0 0 0 0 0 0 "
        "0 99 2\n"
        "proc3 22 2 112 0 2719 111 0 0 0 0 0 0 0 0 0 0 0 27 216 0 2 1 0\nproc4 2 2 10853\n"
        "proc4ops 72 0 0 0 1098 2 0 0 0 0 8179 5896 0 0 0 0 5900 0 0 2 0 2 0 9609 0 2 150 1272 0 0 0 1236 0 0 0 0 3 3 "
        "0 0 7 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0"}});
  for (const std::string name : {"bond0", "eth0", "eth1"}) {
    const std::string device = "sys/class/net/" + name;
    put(tree, device,
        {{"address", "01:01:01:01:01:01"},
         {"addr_assign_type", "3"},
         {"addr_len", "6"},
         {"broadcast", "ff:ff:ff:ff:ff:ff"},
         {"carrier", "1"},
         {"carrier_changes", "2"},
         {"carrier_up_count", "1"},
         {"carrier_down_count", "1"},
         {"dev_id", "0x20"},
         {"dormant", "1"},
         {"duplex", "full"},
         {"flags", "0x1303"},
         {"ifalias", ""},
         {"ifindex", "2"},
         {"iflink", "3"},
         {"link_mode", "1"},
         {"mtu", "1500"},
         {"name_assign_type", "2"},
         {"netdev_group", "0"},
         {"operstate", "up"},
         {"speed", "1000"},
         {"tx_queue_len", "1000"},
         {"type", "1"}});
  }
  put(tree, "sys/class/net", {{"bonding_masters", "bond0"}});
  put(tree, "sys/class/net/bond0/bonding", {{"slaves", "eth0 eth1"}});
  put(tree, "sys/class/net/bond0/lower_eth0/bonding_slave", {{"mii_status", "up"}});
  put(tree, "sys/class/net/bond0/lower_eth1/bonding_slave", {{"mii_status", "down"}});
}

// Everything at once.
inline void build_collector_tree(TempTree& tree) {
  add_procfs(tree);
  add_network_files(tree);
  add_storage(tree);
  add_zfs(tree);
  add_fabrics(tree);
  add_platform(tree);
  add_sensors(tree);
}

}  // namespace omnitide::test
