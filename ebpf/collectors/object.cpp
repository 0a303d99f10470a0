#include "ebpf/collectors/object.hpp"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <linux/perf_event.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "agent/base/fd.hpp"
#include "agent/base/text.hpp"
#include "ebpf/loader/capabilities.hpp"
#include "ebpf/loader/packed_object.hpp"

namespace omnitide::collectors {

namespace {

constexpr std::size_t kLogBytes = 128U << 10U;
constexpr int kMostReads = 64;        // of a million objects each (MAX_ITER_OBJECTS in kernel/bpf/bpf_iter.c)
constexpr std::size_t kAdvice = 400;  // bytes of the verifier's log that go into an error

int quiet(libbpf_print_level /*level*/, const char* /*format*/, va_list /*arguments*/) { return 0; }

using ObjectPointer = std::unique_ptr<bpf_object, decltype(&bpf_object__close)>;

// The end of the log names what the verifier objects to.
std::string advice(std::string_view log) {
  log = trim(log.substr(0, log.find('\0')));
  if (log.size() > kAdvice) log.remove_prefix(log.size() - kAdvice);
  return printable(log, kAdvice * 2);
}

}  // namespace

std::uint64_t load_counter(std::uint64_t& place) {
  return std::atomic_ref<std::uint64_t>(place).load(std::memory_order_relaxed);
}

struct Object::State {
  struct Mapping {
    void* address = nullptr;
    std::size_t size = 0;
  };
  explicit State(std::string_view its_name) : name(its_name) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    for (bpf_link* link : links)
      bpf_link__destroy(link);
    for (const Mapping& mapping : mappings)
      ::munmap(mapping.address, mapping.size);
  }
  [[nodiscard]] Result<bpf_map*> find(std::string_view map) const {
    bpf_map* found = bpf_object__find_map_by_name(object.get(), std::string(map).c_str());
    if (found == nullptr) return fail(Code::internal, fmt::format("the programs of {} have no map {}", name, map));
    return found;
  }
  [[nodiscard]] Result<bpf_program*> find_program(std::string_view program) const {
    bpf_program* found = bpf_object__find_program_by_name(object.get(), std::string(program).c_str());
    if (found == nullptr) return fail(Code::internal, fmt::format("there is no program {} of {}", program, name));
    return found;
  }
  [[nodiscard]] Result<> keep(bpf_link* link, const bpf_program* program) {
    if (link == nullptr) return fail_errno(errno, fmt::format("cannot attach {}", bpf_program__name(program)));
    links.push_back(link);
    return {};
  }

  std::string name, log;
  ObjectPointer object{nullptr, &bpf_object__close};
  std::vector<bpf_link*> links;
  std::vector<Mapping> mappings;
};

Object::Object(std::unique_ptr<State> state) : state_(std::move(state)) {}
Object::Object(Object&&) noexcept = default;
Object& Object::operator=(Object&&) noexcept = default;
Object::~Object() = default;

Result<Object> Object::open(std::string_view name, ebpf::PackedObject packed) {
  libbpf_set_print(quiet);
  const Result<std::vector<std::byte>> bytes = ebpf::unpack(packed);
  if (bytes.has_error()) return bytes.error();
  auto state = std::make_unique<State>(name);
  state->log.assign(kLogBytes, '\0');
  bpf_object_open_opts options{};
  options.sz = sizeof options;
  options.object_name = state->name.c_str();
  options.kernel_log_buf = state->log.data();
  options.kernel_log_size = state->log.size();
  state->object.reset(bpf_object__open_mem(bytes->data(), bytes->size(), &options));
  if (!state->object) return fail_errno(errno, fmt::format("cannot read the compiled programs of {}", name));
  return Object(std::move(state));
}

Result<> Object::set(std::string_view variable, std::uint64_t value) {
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, state_->object.get()) {
    if (std::string_view(bpf_map__name(map)).ends_with(".rodata")) break;
  }
  std::size_t size = 0;
  const void* initial = map == nullptr ? nullptr : bpf_map__initial_value(map, &size);
  const btf* types = bpf_object__btf(state_->object.get());
  const int id = types == nullptr ? -1 : btf__find_by_name_kind(types, ".rodata", BTF_KIND_DATASEC);
  const Error unknown =
      fail(Code::internal, fmt::format("the programs of {} have no setting {}", state_->name, variable));
  if (initial == nullptr || id < 0) return unknown;
  std::string bytes(static_cast<const char*>(initial), size);
  const btf_type* section = btf__type_by_id(types, static_cast<__u32>(id));
  const btf_var_secinfo* variables = btf_var_secinfos(section);
  for (__u32 i = 0; i < btf_vlen(section); ++i) {
    const btf_type* found = btf__type_by_id(types, variables[i].type);
    const std::size_t width = variables[i].size;
    if (variable != btf__name_by_offset(types, found->name_off)) continue;
    if (width > sizeof value || variables[i].offset + width > size) return unknown;
    std::memcpy(&bytes[variables[i].offset], &value, width);  // little-endian: the low bytes come first
    if (const int result = bpf_map__set_initial_value(map, bytes.data(), bytes.size()); result != 0)
      return fail_errno(-result, fmt::format("cannot set {}", variable));
    return {};
  }
  return unknown;
}

Result<> Object::resize(std::string_view map, std::uint32_t entries) {
  const Result<bpf_map*> found = state_->find(map);
  if (found.has_error()) return found.error();
  const int result = bpf_map__set_max_entries(*found, entries);
  return result == 0 ? Result<>() : fail_errno(-result, fmt::format("cannot size the map {}", map));
}

Result<> Object::share(std::string_view map, int fd) {
  const Result<bpf_map*> found = state_->find(map);
  if (found.has_error()) return found.error();
  const int result = bpf_map__reuse_fd(*found, fd);
  return result == 0 ? Result<>() : fail_errno(-result, fmt::format("cannot share the map {}", map));
}

Result<> Object::leave_out(std::string_view program) {
  const Result<bpf_program*> found = state_->find_program(program);
  if (found.has_error()) return found.error();
  (void)bpf_program__set_autoload(*found, false);
  return {};
}

Result<> Object::load() {
  const int result = bpf_object__load(state_->object.get());
  const std::string said = advice(state_->log);
  std::string().swap(state_->log);  // an assignment would keep the memory
  if (result == 0) return {};
  constexpr std::array kNeeded{CAP_BPF, CAP_PERFMON};
  const std::string missing = ebpf::missing_capabilities(ebpf::effective_capabilities(), kNeeded);
  if (!missing.empty()) return fail(Code::permission_denied, "missing: " + missing);
  Error out = fail_errno(-result, "the kernel does not take the programs");
  out.code = Code::failed_precondition;
  return said.empty() ? out : std::move(out).with_hint("the verifier says: " + said);
}

Result<> Object::attach() {
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, state_->object.get()) {
    if (bpf_program__fd(program) < 0 || bpf_program__type(program) != BPF_PROG_TYPE_TRACING) continue;
    if (bpf_program__expected_attach_type(program) == BPF_TRACE_ITER) continue;
    if (Result<> done = state_->keep(bpf_program__attach(program), program); done.has_error()) return done;
  }
  return {};
}

Result<> Object::attach_to_cgroup(std::string_view program, int cgroup_fd) {
  const Result<bpf_program*> found = state_->find_program(program);
  if (found.has_error()) return found.error();
  return state_->keep(bpf_program__attach_cgroup(*found, cgroup_fd), *found);
}

Result<> Object::attach_to_major_faults(std::string_view program) {
  const Result<bpf_program*> found = state_->find_program(program);
  if (found.has_error()) return found.error();
  perf_event_attr attributes{};
  attributes.size = sizeof attributes;
  attributes.type = PERF_TYPE_SOFTWARE;
  attributes.config = PERF_COUNT_SW_PAGE_FAULTS_MAJ;
  attributes.sample_period = 1;
  int attached = 0;
  for (int cpu = 0; cpu < libbpf_num_possible_cpus(); ++cpu) {
    const long fd = ::syscall(SYS_perf_event_open, &attributes, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
    if (fd < 0 && (errno == ENODEV || errno == ENXIO)) continue;  // offline
    if (fd < 0) return fail_errno(errno, "cannot open the event of major faults");
    // The link owns the descriptor, once there is one.
    bpf_link* link = bpf_program__attach_perf_event(*found, static_cast<int>(fd));
    const int error = errno;
    if (link == nullptr) ::close(static_cast<int>(fd));
    errno = error;
    if (Result<> done = state_->keep(link, *found); done.has_error()) return done;
    ++attached;
  }
  return attached > 0 ? Result<>() : fail(Code::failed_precondition, "no CPU gives the event of major faults");
}

Result<Iterator> Object::iterate(std::string_view program, std::string_view map) {
  const Result<bpf_program*> found = state_->find_program(program);
  if (found.has_error()) return found.error();
  bpf_iter_link_info info{};
  bpf_iter_attach_opts options{};
  options.sz = sizeof options;
  if (!map.empty()) {
    const Result<int> fd = this->map(map);
    if (fd.has_error()) return fd.error();
    info.map.map_fd = static_cast<__u32>(*fd);
    options.link_info = &info;
    options.link_info_len = sizeof info;
  }
  bpf_link* link = bpf_program__attach_iter(*found, &options);
  if (Result<> done = state_->keep(link, *found); done.has_error()) return done.error();
  return Iterator(bpf_link__fd(link));
}

Result<> Iterator::run() const {
  const UniqueFd all(bpf_iter_create(link_));
  if (!all) return fail_errno(errno, "cannot begin to iterate");
  char nothing = 0;
  for (int i = 0; i < kMostReads; ++i) {
    const ssize_t got = ::read(all.get(), &nothing, 1);
    if (got == 0) return {};
    if (got < 0 && errno != EAGAIN && errno != EINTR) return fail_errno(errno, "cannot iterate");
  }
  return fail(Code::deadline_exceeded, "an iteration found no end");
}

Result<int> Object::map(std::string_view name) const {
  const Result<bpf_map*> found = state_->find(name);
  if (found.has_error()) return found.error();
  return bpf_map__fd(*found);
}

Result<MappedArray> Object::array(std::string_view name) {
  const Result<bpf_map*> found = state_->find(name);
  if (found.has_error()) return found.error();
  const std::size_t row = (bpf_map__value_size(*found) + 7U) & ~std::size_t{7};  // as the kernel lays them out
  const std::size_t size = row * bpf_map__max_entries(*found);
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t mapped = (size + page - 1) / page * page;
  void* address = ::mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(*found), 0);
  if (address == MAP_FAILED) return fail_errno(errno, fmt::format("cannot map {}", name));
  state_->mappings.push_back({address, mapped});
  return MappedArray(static_cast<std::byte*>(address), size, row);
}

std::vector<LoadedProgram> Object::programs() const {
  std::vector<LoadedProgram> out;
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, state_->object.get()) {
    if (bpf_program__fd(program) >= 0) out.push_back({bpf_program__name(program), bpf_program__fd(program)});
  }
  return out;
}

}  // namespace omnitide::collectors
