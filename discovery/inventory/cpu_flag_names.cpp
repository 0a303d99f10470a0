#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "discovery/inventory/labels.hpp"

namespace omnitide::discovery {

namespace {

// Flags of arch/x86/include/asm/cpufeatures.h beside the names of the CPUID library that Node Feature Discovery uses.
// Those that it leaves out by default are not here: BMI1, BMI2, CLMUL, CMOV, CX16, ERMS, F16C, HTT, LZCNT, MMX, MMXEXT,
// NX, POPCNT, RDRAND, RDSEED, RDTSCP, SGX, SGXLC, SSE to SSE42, SSSE3, TDX_GUEST. Sorted by flag.
using Pair = std::pair<std::string_view, std::string_view>;
constexpr std::array kX86 = std::to_array<Pair>({
    {"3dnow", "AMD3DNOW"},
    {"3dnowext", "AMD3DNOWEXT"},
    {"adx", "ADX"},
    {"aes", "AESNI"},
    {"amx_bf16", "AMXBF16"},
    {"amx_complex", "AMXCOMPLEX"},
    {"amx_fp16", "AMXFP16"},
    {"amx_int8", "AMXINT8"},
    {"amx_tile", "AMXTILE"},
    {"arch_capabilities", "IA32_ARCH_CAP"},
    {"avx", "AVX"},
    {"avx2", "AVX2"},
    {"avx512_bf16", "AVX512BF16"},
    {"avx512_bitalg", "AVX512BITALG"},
    {"avx512_fp16", "AVX512FP16"},
    {"avx512_vbmi2", "AVX512VBMI2"},
    {"avx512_vnni", "AVX512VNNI"},
    {"avx512_vp2intersect", "AVX512VP2INTERSECT"},
    {"avx512_vpopcntdq", "AVX512VPOPCNTDQ"},
    {"avx512bw", "AVX512BW"},
    {"avx512cd", "AVX512CD"},
    {"avx512dq", "AVX512DQ"},
    {"avx512er", "AVX512ER"},
    {"avx512f", "AVX512F"},
    {"avx512ifma", "AVX512IFMA"},
    {"avx512pf", "AVX512PF"},
    {"avx512vbmi", "AVX512VBMI"},
    {"avx512vl", "AVX512VL"},
    {"avx_ifma", "AVXIFMA"},
    {"avx_ne_convert", "AVXNECONVERT"},
    {"avx_vnni", "AVXVNNI"},
    {"avx_vnni_int16", "AVXVNNIINT16"},
    {"avx_vnni_int8", "AVXVNNIINT8"},
    {"cldemote", "CLDEMOTE"},
    {"clzero", "CLZERO"},
    {"cmpccxadd", "CMPCCXADD"},
    {"cpb", "CPBOOST"},
    {"cppc", "CPPC"},
    {"cx8", "CMPXCHG8"},
    {"enqcmd", "ENQCMD"},
    {"flush_l1d", "FLUSH_L1D"},
    {"fma", "FMA3"},
    {"fma4", "FMA4"},
    {"fpu", "X87"},
    {"fsrm", "FSRM"},
    {"fxsr", "FXSR"},
    {"fxsr_opt", "FXSROPT"},
    {"gfni", "GFNI"},
    {"hle", "HLE"},
    {"hypervisor", "HYPERVISOR"},
    {"ibpb", "IBPB"},
    {"ibrs", "IBRS"},
    {"ibs", "IBS"},
    {"lahf_lm", "LAHF"},
    {"lam", "LAM"},
    {"md_clear", "MD_CLEAR"},
    {"movbe", "MOVBE"},
    {"movdir64b", "MOVDIR64B"},
    {"movdiri", "MOVDIRI"},
    {"mpx", "MPX"},
    {"nrip_save", "NRIPS"},
    {"pconfig", "PCONFIG"},
    {"prefetchi", "PREFETCHI"},
    {"rdpru", "RDPRU"},
    {"rtm", "RTM"},
    {"sep", "SYSEE"},
    {"serialize", "SERIALIZE"},
    {"sev", "SEV"},
    {"sev_es", "SEV_ES"},
    {"sev_snp", "SEV_SNP"},
    {"sha_ni", "SHA"},
    {"sme", "SME"},
    {"sse4a", "SSE4A"},
    {"stibp", "STIBP"},
    {"succor", "SUCCOR"},
    {"svm", "SVM"},
    {"syscall", "SYSCALL"},
    {"tbm", "TBM"},
    {"tme", "TME"},
    {"topoext", "TOPEXT"},
    {"tsxldtrk", "TSXLDTRK"},
    {"vaes", "VAES"},
    {"vmx", "VMX"},
    {"vpclmulqdq", "VPCLMULQDQ"},
    {"waitpkg", "WAITPKG"},
    {"wbnoinvd", "WBNOINVD"},
    {"wrmsrns", "WRMSRNS"},
    {"xgetbv1", "XGETBV1"},
    {"xop", "XOP"},
    {"xsave", "XSAVE"},
    {"xsavec", "XSAVEC"},
    {"xsaveopt", "XSAVEOPT"},
    {"xsaves", "XSAVES"},
});

constexpr bool by_flag(const Pair& a, const Pair& b) { return a.first < b.first; }
static_assert(std::is_sorted(kX86.begin(), kX86.end(), by_flag));

}  // namespace

std::string nfd_cpu_flag(std::string_view architecture, std::string_view flag) {
  if (architecture == "x86_64" || architecture == "i686") {
    const auto found = std::lower_bound(kX86.begin(), kX86.end(), Pair{flag, {}}, by_flag);
    return found != kX86.end() && found->first == flag ? std::string(found->second) : std::string();
  }
  // Arm: the names of the hardware capabilities, in capitals.
  if (!architecture.starts_with("aarch64") && !architecture.starts_with("arm")) return {};
  std::string name;
  for (const char c : flag) {
    const bool lower = c >= 'a' && c <= 'z';
    if (!lower && !(c >= '0' && c <= '9')) return {};
    name += lower ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return name;
}

}  // namespace omnitide::discovery
