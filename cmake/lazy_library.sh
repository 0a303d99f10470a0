#!/bin/sh
# lazy_library.sh PROCESSOR NM LIBRARY NAME SONAME OUT: assembler text, for x86_64 or aarch64, of a function for each one that LIBRARY
# exports.
#
# Each jumps through a pointer of its own. At first that leads to omnitide_lazy_NAME_bind, which keeps the arguments' registers
# (System V ABI, 3.2.3; AAPCS64, 6.1), has agent/base load the library and fill the pointers in, and goes on to the real function. The
# pointers lie on pages of their own, that are made read-only once they are filled in.
set -eu
processor="$1" nm="$2" library="$3" name="$4" soname="$5" out="$6"

tables() {
  cat <<HEAD
.hidden omnitide_lazy_load

.section lazy_$name, "aw", @progbits
.balign 4096
omnitide_lazy_${name}_begin:

.section .data.rel.ro.lazy_$name, "aw", @progbits
.balign 8
omnitide_lazy_${name}_table:
  .quad .Lsoname, omnitide_lazy_${name}_begin, omnitide_lazy_${name}_end
.section .rodata.lazy_$name, "a", @progbits
.Lsoname: .asciz "$soname"

.section .text.lazy_$name, "ax", @progbits
.type omnitide_lazy_${name}_bind, @function
omnitide_lazy_${name}_bind:
HEAD
}

# The pointer's address comes in r11.
bind_x86_64() {
  cat <<CODE
  push %rbp
  mov %rsp, %rbp
  push %rax
  push %rdi
  push %rsi
  push %rdx
  push %rcx
  push %r8
  push %r9
  push %r10
  push %r11
  and \$-16, %rsp
  sub \$128, %rsp
  movaps %xmm0, (%rsp)
  movaps %xmm1, 16(%rsp)
  movaps %xmm2, 32(%rsp)
  movaps %xmm3, 48(%rsp)
  movaps %xmm4, 64(%rsp)
  movaps %xmm5, 80(%rsp)
  movaps %xmm6, 96(%rsp)
  movaps %xmm7, 112(%rsp)
  lea omnitide_lazy_${name}_table(%rip), %rdi
  call omnitide_lazy_load
  movaps (%rsp), %xmm0
  movaps 16(%rsp), %xmm1
  movaps 32(%rsp), %xmm2
  movaps 48(%rsp), %xmm3
  movaps 64(%rsp), %xmm4
  movaps 80(%rsp), %xmm5
  movaps 96(%rsp), %xmm6
  movaps 112(%rsp), %xmm7
  lea -72(%rbp), %rsp
  pop %r11
  pop %r10
  pop %r9
  pop %r8
  pop %rcx
  pop %rdx
  pop %rsi
  pop %rdi
  pop %rax
  pop %rbp
  jmp *(%r11)
CODE
}

function_x86_64() {
  cat <<\CODE
  endbr64
  jmp *.Lslot_\function(%rip)
.Lfirst_\function:
  endbr64
  lea .Lslot_\function(%rip), %r11
CODE
  echo "  jmp omnitide_lazy_${name}_bind"
}

# The pointer's address comes in x17: it and x16 are a linker's own between a call and its function.
bind_aarch64() {
  cat <<CODE
  stp x29, x30, [sp, #-224]!
  mov x29, sp
  stp x0, x1, [sp, #16]
  stp x2, x3, [sp, #32]
  stp x4, x5, [sp, #48]
  stp x6, x7, [sp, #64]
  stp x8, x17, [sp, #80]
  stp q0, q1, [sp, #96]
  stp q2, q3, [sp, #128]
  stp q4, q5, [sp, #160]
  stp q6, q7, [sp, #192]
  adrp x0, omnitide_lazy_${name}_table
  add x0, x0, :lo12:omnitide_lazy_${name}_table
  bl omnitide_lazy_load
  ldp x0, x1, [sp, #16]
  ldp x2, x3, [sp, #32]
  ldp x4, x5, [sp, #48]
  ldp x6, x7, [sp, #64]
  ldp x8, x17, [sp, #80]
  ldp q0, q1, [sp, #96]
  ldp q2, q3, [sp, #128]
  ldp q4, q5, [sp, #160]
  ldp q6, q7, [sp, #192]
  ldp x29, x30, [sp], #224
  ldr x16, [x17]
  br x16
CODE
}

# hint #34 is `bti c` on processors that have it.
function_aarch64() {
  cat <<\CODE
  hint #34
  adrp x16, .Lslot_\function
  ldr x16, [x16, :lo12:.Lslot_\function]
  br x16
.Lfirst_\function:
  hint #34
  adrp x17, .Lslot_\function
  add x17, x17, :lo12:.Lslot_\function
CODE
  echo "  b omnitide_lazy_${name}_bind"
}

one_function() {
  cat <<HEAD

.macro lazy function
.section .text.lazy_$name.\\function, "ax", @progbits
.globl \\function
.hidden \\function
.type \\function, @function
\\function:
HEAD
  "function_$processor"
  cat <<TAIL
.size \\function, . - \\function
.section .rodata.lazy_$name.\\function, "a", @progbits
.Lname_\\function: .asciz "\\function"
.section lazy_$name, "aw", @progbits, unique, \\@
.balign 8
.Lslot_\\function:
  .quad .Lfirst_\\function, .Lname_\\function
.endm

TAIL
}

{
  tables
  "bind_$processor"
  one_function
  "$nm" -D --defined-only "$library" | awk '$2 == "T" || $2 == "W" || $2 == "i" { sub(/@.*/, "", $3); if (!seen[$3]++) print "lazy " $3 }'
  cat <<TAIL

.section lazy_$name, "aw", @progbits, unique, 1000000
.balign 4096
omnitide_lazy_${name}_end:
.section .note.GNU-stack, "", @progbits
TAIL
} >"$out.new"
mv "$out.new" "$out"
