	.file	"<stdin>"
	.text
	.p2align 4
	.globl	_Z5checkh
	.type	_Z5checkh, @function
_Z5checkh:
.LFB6403:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	vpxor	%xmm0, %xmm0, %xmm0
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	andq	$-64, %rsp
	vmovdqa	%ymm0, -64(%rsp)
	movb	$1, -64(%rsp)
#APP
# 42 "/usr/lib/gcc/x86_64-linux-gnu/12/include/amxtileintrin.h" 1
	ldtilecfg	-64(%rsp)
# 0 "" 2
#NO_APP
	vzeroupper
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE6403:
	.size	_Z5checkh, .-_Z5checkh
	.ident	"GCC: (Debian 12.2.0-14+deb12u1) 12.2.0"
	.section	.note.GNU-stack,"",@progbits
