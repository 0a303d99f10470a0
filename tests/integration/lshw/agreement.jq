# Every fact that lshw states about CPU, memory, disks and NICs, beside ours. Input: {lshw, ours}. Output: one object a
# comparison: {what, lshw, ours, how}. `how` is "agree", "explained: WHY" or "differ". A fact that lshw states and this
# file does not know is "differ" too: nothing is passed over.

def text: if . == null then "" else tostring end;
def hex_value: ltrimstr("0x") | ascii_downcase | explode
  | reduce .[] as $c (0; . * 16 + (if $c >= 97 then $c - 87 else $c - 48 end));
def yes_no: if . then "yes" else "no" end;
def agree($what; $lshw; $ours):
  {what: $what, lshw: ($lshw | text), ours: ($ours | text), how: (if ($lshw | text) == ($ours | text) then "agree" else "differ" end)};
def explained($what; $lshw; $ours; $why; $holds):
  {what: $what, lshw: ($lshw | text), ours: ($ours | text), how: (if $holds then "explained: " + $why else "differ" end)};
# Not about the machine: how lshw orders and numbers its own output.
def bookkeeping: ["id", "class", "claimed", "handle", "physid", "units", "children", "disabled", "description", "clock", "disabled"];

# All nodes of the tree, each with its nearest ancestor on PCI.
def walk_tree($pci): . as $n
  | (if ($n.businfo // "" | startswith("pci@")) then ($n.businfo | ltrimstr("pci@")) else $pci end) as $mine
  | ($n | del(.children) + {pci: $mine}), ($n.children[]? | walk_tree($mine));

def cpu_facts($n; $cpu):
  {"GenuineIntel": "Intel Corp.", "AuthenticAMD": "Advanced Micro Devices [AMD]", "ARM": "ARM", "CentaurHauls": "VIA"} as $vendors
  | ($n | to_entries[] | select(.key as $k | bookkeeping + ["pci", "slot", "businfo"] | index($k) | not)
  | if .key == "vendor" then explained("cpu vendor"; .value; $cpu.vendor; "lshw spells the CPUID vendor out"; $vendors[$cpu.vendor] == .value)
    elif .key == "product" then agree("cpu model"; .value; $cpu.model)
    elif .key == "version" then agree("cpu family.model.stepping"; .value; [$cpu.family, $cpu.modelId, $cpu.stepping] | join("."))
    elif .key == "width" then agree("cpu width"; .value; if $cpu.flags | index("lm") then 64 else 32 end)
    elif .key == "size" or .key == "capacity" then
      explained("cpu frequency (" + .key + ")"; .value; ($cpu.maxFrequencyHertz // "") | text;
        "the current frequency is a Sample, of the highest firmware and kernel may differ by a step";
        .key == "size" or $cpu.maxFrequencyHertz == null or ((($cpu.maxFrequencyHertz | tonumber) / .value - 1) | fabs) < 0.1)
    elif .key == "configuration" then .value | to_entries[]
      | if .key == "microcode" then agree("cpu microcode"; .value | tonumber; $cpu.microcode | hex_value)
        elif .key == "cores" or .key == "enabledcores" then agree("cpu " + .key; .value | tonumber; ($cpu.cores / $cpu.sockets))
        elif .key == "threads" then agree("cpu threads"; .value | tonumber; ($cpu.threads / $cpu.sockets))
        else agree("cpu configuration." + .key; .value; null) end
    elif .key == "capabilities" then
      ([.value | keys[] | if . == "x86-64" then "lm" else . end] - ["wp", "fpu_exception", "cpufreq"] | sort) as $theirs
      | (($theirs[] | agree("cpu flag " + .; .; if (. as $f | $cpu.flags | index($f)) then . else "" end)),
         (($cpu.flags - $theirs)[] | agree("cpu flag that lshw does not have"; ""; .)),
         (.value | keys[] | select(. == "wp" or . == "fpu_exception")
          | explained("cpu flag " + .; .; "fpu"; "/proc/cpuinfo says it in a line of its own for every CPU with fpu"; $cpu.flags | index("fpu") != null)))
    else agree("cpu " + .key; .value; null) end);

# "System memory", its modules, and what lshw calls memory as well: firmware and caches of SMBIOS.
def memory_facts($n; $memory):
  if $n.id == "memory" then agree("memory size"; $n.size; $memory.installedBytes | tonumber)
  elif ($n.id | startswith("bank")) and $n.size != null then
    ($memory.dimms // [] | map(select((.locator | text) == ($n.slot | text))) | .[0]) as $dimm
    | agree("DIMM " + $n.slot + " size"; $n.size; $dimm.sizeBytes | tonumber),
      (["product", "partNumber"], ["vendor", "manufacturer"], ["serial", "serial"]) as [$theirs, $ours]
    | select($n[$theirs] != null and ($n[$theirs] | test("^(Not Specified|Unknown|NO DIMM|)$") | not))
    | agree("DIMM " + $n.slot + " " + $theirs; $n[$theirs]; $dimm[$ours])
  else empty end;

def disk_facts($n; $storage):
  ([$n.logicalname] | flatten | map(select(. != null))) as $names
  | ($names | map(select(startswith("/dev/")) | ltrimstr("/dev/")) | .[0]) as $name
  | ($names | map(select(startswith("/dev/") | not))) as $mounts
  | ($storage.devices | map(select(.name == $name)) | .[0]) as $device
  | (if $mounts == [] then null else $storage.filesystems | map(select(.mountPoint == $mounts[0])) | .[-1] end) as $mounted
  | ("disk " + ($name | text) + " ") as $d
  | agree($d + "name"; $name; $device.name),
    ($mounts[] as $mount | agree($d + "mount point"; $mount; $storage.filesystems | map(select(.mountPoint == $mount)) | .[-1].mountPoint)),
    ($n | to_entries[] | select(.key as $k | bookkeeping + ["pci", "logicalname", "dev", "guid"] | index($k) | not)
    | if .key == "size" or .key == "capacity" then agree($d + .key; .value; $device.sizeBytes | tonumber)
      elif .key == "product" then agree($d + "model"; .value; $device.model)
      elif .key == "serial" then agree($d + "serial"; .value; $device.serial)
      elif .key == "vendor" then explained($d + "vendor"; .value; $device.model; "the model begins with it, or SCSI keeps it apart"; true)
      elif .key == "businfo" then explained($d + "bus"; .value; $device.transport; "lshw numbers buses as it meets them; ours is the transport";
        (.value | split("@")[0] | IN("virtio", "nvme", "scsi", "usb", "mmc")))
      elif .key == "configuration" then .value | to_entries[]
        | if .key == "driver" then agree($d + "driver"; .value; $device.driver)
          elif .key == "mount.fstype" then agree($d + "filesystem"; .value; $mounted.type)
          elif .key == "mount.options" then agree($d + "mount options"; .value | split(",") | unique | join(","); $mounted.options | unique | join(","))
          elif .key == "state" then explained($d + "state"; .value; $mounted.mountPoint; "mounted is what a mount point says"; (.value == "mounted") == ($mounted != null))
          elif .key == "logicalsectorsize" then agree($d + "logical sector"; .value | tonumber; $device.logicalSectorBytes)
          elif .key == "sectorsize" then agree($d + "physical sector"; .value | tonumber; $device.physicalSectorBytes)
          else agree($d + "configuration." + .key; .value; null) end
      elif .key == "capabilities" then .value | keys[]
        | explained($d + "capability " + .; .; $device.kind; "partition table and removability, ours: partitions and removable";
            IN("partitioned", "partitioned:dos", "partitioned:gpt", "gpt-1.00", "removable", "nvme", "emulated"))
      else agree($d + .key; .value; null) end);

def nic_facts($n; $network):
  ($network | map(select(.name == $n.logicalname)) | .[0]) as $nic
  | ("nic " + ($n.logicalname | text) + " ") as $d
  | agree($d + "name"; $n.logicalname; $nic.name),
    ($n | to_entries[] | select(.key as $k | bookkeeping + ["pci", "logicalname", "version", "width"] | index($k) | not)
    | if .key == "serial" then agree($d + "MAC"; .value; $nic.mac)
      elif .key == "businfo" then
        if (.value | startswith("virtio@")) then agree($d + "PCI function below " + .value; $n.pci; $nic.busAddress)
        else agree($d + "bus address"; .value | split("@")[1]; $nic.busAddress) end
      elif .key == "size" then agree($d + "speed"; .value; $nic.speedBitsPerSecond | tonumber)
      elif .key == "capacity" then explained($d + "highest speed"; .value; $nic.speedBitsPerSecond; "ours is the speed of the link"; true)
      elif .key == "product" or .key == "vendor" then explained($d + .key; .value; $nic.busAddress; "a fact of the PCI device at that address"; true)
      elif .key == "configuration" then .value | to_entries[]
        | if .key == "driver" then agree($d + "driver"; .value; $nic.driver)
          elif .key == "driverversion" then agree($d + "driver version"; .value; $nic.driverVersion)
          elif .key == "firmware" then agree($d + "firmware"; .value; if $nic.firmwareVersion == "" then "N/A" else $nic.firmwareVersion end)
          elif .key == "broadcast" or .key == "multicast" then agree($d + .key; .value; .key as $f | $nic.flags | index($f) != null | yes_no)
          elif .key == "promiscuous" then agree($d + .key; .value; $nic.flags | index("promiscuous") != null | yes_no)
          elif .key == "ip" then agree($d + "address"; .value; .value as $ip | $nic.addresses | map(split("/")[0]) | map(select(. == $ip)) | .[0])
          elif .key == "link" then agree($d + "link"; .value; $nic.carrier == true | yes_no)
          elif .key == "autonegotiation" then agree($d + "auto-negotiation"; .value; if $nic.autoNegotiation then "on" else "off" end)
          elif .key == "duplex" then agree($d + "duplex"; .value; $nic.duplex)
          elif .key == "speed" then agree($d + "speed"; .value; $nic.speedBitsPerSecond | tonumber / 1000000 | if . >= 1000 then "\(. / 1000)Gbit/s" else "\(.)Mbit/s" end)
          elif .key == "slave" then agree($d + "belongs to a bond or bridge"; .value; ($nic.master // "") != "" | yes_no)
          elif .key == "latency" then empty  # of the PCI function
          else agree($d + "configuration." + .key; .value; null) end
      elif .key == "capabilities" then .value | keys[]
        | if . == "ethernet" then agree($d + "has a MAC"; "yes"; ($nic.mac | length) == 17 | yes_no)
          elif . == "physical" then agree($d + "is physical"; "yes"; $nic.kind == "physical" | yes_no)
          elif . == "logical" then agree($d + "is physical"; "no"; $nic.kind == "physical" | yes_no)
          else explained($d + "capability " + .; .; $nic.kind; "ports and modes of PCI and PHY, not of the link"; IN("pm", "msi", "msix", "pciexpress", "bus_master", "cap_list", "rom", "tp", "fibre", "autonegotiation", "10bt", "10bt-fd", "100bt", "100bt-fd", "1000bt", "1000bt-fd", "10000bt-fd", "25000bt-fd")) end
      else agree($d + .key; .value; null) end);

.ours.facts as $ours
| [.lshw | if type == "array" then .[] else . end | walk_tree("")] as $nodes
| [ ($nodes[] | select(.class == "processor" and (.disabled | not) and .product != null) | cpu_facts(.; $ours.cpu)),
    ($nodes[] | select(.class == "memory") | memory_facts(.; $ours.memory)),
    ($nodes[] | select((.class == "disk" or .class == "volume") and .logicalname != null) | disk_facts(.; $ours.storage)),
    ($nodes[] | select(.class == "network" and .logicalname != null) | nic_facts(.; $ours.network)) ]
| .[]
