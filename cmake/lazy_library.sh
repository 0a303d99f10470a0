#!/bin/sh
# lazy_library.sh NM LIBRARY NAME SONAME OUT: assembler text, for x86-64, of a function for each one that LIBRARY exports.
#
# Each jumps through a pointer of its own. At first that leads to omnitide_lazy_NAME_bind, which keeps the arguments' registers
# (System V ABI, 3.2.3), has agent/base load the library and fill the pointers in, and goes on to the real function. The
# pointers lie on pages of their own, that are made read-only once they are filled in.
set -eu
nm="$1" library="$2" name="$3" soname="$4" out="$5"

{
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

.macro lazy function
.section .text.lazy_$name.\\function, "ax", @progbits
.globl \\function
.hidden \\function
.type \\function, @function
\\function:
  endbr64
  jmp *.Lslot_\\function(%rip)
.Lfirst_\\function:
  endbr64
  lea .Lslot_\\function(%rip), %r11
  jmp omnitide_lazy_${name}_bind
.size \\function, . - \\function
.section .rodata.lazy_$name.\\function, "a", @progbits
.Lname_\\function: .asciz "\\function"
.section lazy_$name, "aw", @progbits, unique, \\@
.balign 8
.Lslot_\\function:
  .quad .Lfirst_\\function, .Lname_\\function
.endm

HEAD
"$nm" -D --defined-only "$library" | awk '$2 == "T" || $2 == "W" || $2 == "i" { sub(/@.*/, "", $3); if (!seen[$3]++) print "lazy " $3 }'
cat <<TAIL

.section lazy_$name, "aw", @progbits, unique, 1000000
.balign 4096
omnitide_lazy_${name}_end:
.section .note.GNU-stack, "", @progbits
TAIL
} >"$out.new"
mv "$out.new" "$out"
