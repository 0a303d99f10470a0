// omnitide-cni in the folders of a container runtime: its file, and its entry in the network configuration that the
// runtime takes. Blocks on the disk. Every file is replaced by a rename: the runtime sees the old or the new one,
// whole.
#pragma once

#include <string>

#include "agent/base/error.hpp"
#include "agent/cni/conflist.hpp"

namespace omnitide::daemon {

struct CniFolders {
  std::string lists, programs;  // of the runtime: /etc/cni/net.d, /opt/cni/bin
  std::string plugin;           // the file that becomes programs/omnitide-cni
};

struct CniInstalled {
  std::string list;  // the file that the runtime takes
  bool changed = false;
};

// Puts the entry behind the plugins of the first list by name, as runtimes take it. Fails, and leaves everything as it
// is, when that file cannot be chained to, or its plugins are not in `programs`: then ours would not be found either.
// not_found: there is no list yet.
[[nodiscard]] Result<CniInstalled> install_cni(const CniFolders& folders, const cni::Settings& settings);

// Takes the entry out of every list, then the plugin's file, unless something still names it. True: there was one.
[[nodiscard]] Result<bool> remove_cni(const CniFolders& folders);

}  // namespace omnitide::daemon
