#include "ebpf/collectors/kernel_types.hpp"

#include <bpf/btf.h>

#include <cerrno>

namespace omnitide::collectors {

struct KernelTypes::State {
  std::unique_ptr<btf, decltype(&btf__free)> types{nullptr, &btf__free};

  [[nodiscard]] const btf_type* find(const std::string& name, std::uint32_t kind) const {
    const int id = btf__find_by_name_kind(types.get(), name.c_str(), kind);
    return id < 0 ? nullptr : btf__type_by_id(types.get(), static_cast<__u32>(id));
  }
  // btf_trace_NAME is a pointer to a function: what the tracepoint calls.
  [[nodiscard]] const btf_type* tracepoint(std::string_view name) const {
    const btf_type* type = find("btf_trace_" + std::string(name), BTF_KIND_TYPEDEF);
    if (type != nullptr) type = btf__type_by_id(types.get(), type->type);
    if (type != nullptr && btf_is_ptr(type)) type = btf__type_by_id(types.get(), type->type);
    return type != nullptr && btf_is_func_proto(type) ? type : nullptr;
  }
};

KernelTypes::KernelTypes(std::unique_ptr<State> state) : state_(std::move(state)) {}
KernelTypes::KernelTypes(KernelTypes&&) noexcept = default;
KernelTypes::~KernelTypes() = default;

Result<KernelTypes> KernelTypes::open() {
  auto state = std::make_unique<State>();
  state->types.reset(btf__load_vmlinux_btf());
  if (!state->types) {
    Error out = fail_errno(errno, "the kernel does not describe its types (CONFIG_DEBUG_INFO_BTF)");
    out.code = Code::failed_precondition;
    return out;
  }
  return KernelTypes(std::move(state));
}

// The first parameter is the program's own context.
unsigned KernelTypes::arguments(std::string_view tracepoint) const {
  const btf_type* function = state_->tracepoint(tracepoint);
  return function == nullptr || btf_vlen(function) == 0 ? 0 : btf_vlen(function) - 1U;
}

std::uint32_t KernelTypes::function(std::string_view name) const {
  const int id = btf__find_by_name_kind(state_->types.get(), std::string(name).c_str(), BTF_KIND_FUNC);
  return id < 0 ? 0 : static_cast<std::uint32_t>(id);
}

bool KernelTypes::has_field(std::string_view type, std::string_view field) const {
  const btf_type* found = state_->find(std::string(type), BTF_KIND_STRUCT);
  if (found == nullptr) return false;
  const btf_member* members = btf_members(found);
  for (unsigned i = 0; i < btf_vlen(found); ++i) {
    if (field == btf__name_by_offset(state_->types.get(), members[i].name_off)) return true;
  }
  return false;
}

std::map<std::uint32_t, std::string> KernelTypes::enumeration(std::string_view name) const {
  std::map<std::uint32_t, std::string> out;
  const btf_type* found = state_->find(std::string(name), BTF_KIND_ENUM);
  if (found == nullptr) return out;
  const struct btf_enum* values = btf_enum(found);
  for (unsigned i = 0; i < btf_vlen(found); ++i)
    out.try_emplace(static_cast<std::uint32_t>(values[i].val),
                    btf__name_by_offset(state_->types.get(), values[i].name_off));
  return out;
}

}  // namespace omnitide::collectors
