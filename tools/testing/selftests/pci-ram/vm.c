// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory of a KVM virtual machine is on a device that is removed.
 *
 * The host plugs when the program says "plug memory now", and unplugs the same
 * device at "remove memory now". The virtual machine works meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest.h"
#include "common.h"
#include "memory.h"
#include "slots.h"

#define VM_SIZE		(64 * MIB)
#define VM_PAGES	(VM_SIZE / PAGE_SIZE)
/* Physical addresses of the virtual machine: its memory, and an address without memory */
#define VM_MEMORY	0x80000000UL
#define VM_DEVICE	0x10000000UL
/* The number of times it reads all its memory, both before and after the removal */
#define ROUNDS		2

/*
 * The program of the virtual machine, in its last page. Each round adds up the
 * first words of all other pages, and adds 1 to their second words. Then it
 * stores the sum at an address without memory. This store exits to the host
 * program, which reads the sum.
 *   a0, a1	start and end of the pages
 *   a2		address of the report
 *   a3		size of a page
 */
static const uint32_t vm_code[] = {
	0x00050293,	/* 1: mv   t0, a0 */
	0x00000393,	/*    li   t2, 0 */
	0x0002b303,	/* 2: ld   t1, 0(t0) */
	0x006383b3,	/*    add  t2, t2, t1 */
	0x0082b303,	/*    ld   t1, 8(t0) */
	0x00130313,	/*    addi t1, t1, 1 */
	0x0062b423,	/*    sd   t1, 8(t0) */
	0x00d282b3,	/*    add  t0, t0, a3 */
	0xfeb2e4e3,	/*    bltu t0, a1, 2b */
	0x00763023,	/*    sd   t2, 0(a2) */
	0xfd9ff06f,	/*    j    1b */
};

struct vm {
	unsigned long *memory;
	struct kvm_run *run;
	int vcpu;
	/* Both threads use these. */
	unsigned long rounds;
	bool good, stop;
};

static int must_ioctl(int fd, unsigned long request, void *arg)
{
	int ret = ioctl(fd, request, arg);

	if (ret < 0)
		die("ioctl %#lx of KVM: %s", request, strerror(errno));
	return ret;
}

static void set_register(int vcpu, size_t offset, unsigned long value)
{
	struct kvm_one_reg reg = {
		.id = KVM_REG_RISCV | KVM_REG_SIZE_U64 | KVM_REG_RISCV_CORE |
		      offset / sizeof(unsigned long),
		.addr = (uintptr_t)&value,
	};

	must_ioctl(vcpu, KVM_SET_ONE_REG, &reg);
}

#define SET_REGISTER(vcpu, name, value)	\
	set_register(vcpu, offsetof(struct kvm_riscv_core, name), value)

/* The sum over all pages but the last */
static unsigned long sum_of(const struct vm *vm)
{
	unsigned long sum = 0;
	size_t i;

	for (i = 0; i < VM_PAGES - 1; i++)
		sum += vm->memory[i * PAGE_SIZE / sizeof(*vm->memory)];
	return sum;
}

static bool counts_are(const struct vm *vm, unsigned long count)
{
	size_t i;

	for (i = 0; i < VM_PAGES - 1; i++) {
		if (vm->memory[i * PAGE_SIZE / sizeof(*vm->memory) + 1] != count)
			return false;
	}
	return true;
}

static void make_vm(struct vm *vm, int kvm)
{
	unsigned long code = VM_MEMORY + VM_SIZE - PAGE_SIZE;
	int fd = must_ioctl(kvm, KVM_CREATE_VM, NULL);
	struct kvm_userspace_memory_region region = {
		.guest_phys_addr = VM_MEMORY,
		.memory_size = VM_SIZE,
	};
	long size;

	vm->memory = fill(VM_SIZE);
	memcpy((char *)vm->memory + VM_SIZE - PAGE_SIZE, vm_code, sizeof(vm_code));
	region.userspace_addr = (uintptr_t)vm->memory;
	must_ioctl(fd, KVM_SET_USER_MEMORY_REGION, &region);

	vm->vcpu = must_ioctl(fd, KVM_CREATE_VCPU, NULL);
	size = must_ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, NULL);
	vm->run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vm->vcpu, 0);
	if (vm->run == MAP_FAILED)
		die("mmap of KVM: %s", strerror(errno));
	SET_REGISTER(vm->vcpu, regs.pc, code);
	SET_REGISTER(vm->vcpu, regs.a0, VM_MEMORY);
	SET_REGISTER(vm->vcpu, regs.a1, code);
	SET_REGISTER(vm->vcpu, regs.a2, VM_DEVICE);
	SET_REGISTER(vm->vcpu, regs.a3, PAGE_SIZE);
}

static void *run_vm(void *data)
{
	struct vm *vm = data;
	unsigned long expected = sum_of(vm), sum;

	vm->good = true;
	while (!__atomic_load_n(&vm->stop, __ATOMIC_RELAXED)) {
		if (ioctl(vm->vcpu, KVM_RUN, NULL) || vm->run->exit_reason != KVM_EXIT_MMIO ||
		    vm->run->mmio.phys_addr != VM_DEVICE || !vm->run->mmio.is_write) {
			ksft_print_msg("the virtual machine stopped, exit reason %u\n",
				       vm->run->exit_reason);
			vm->good = false;
			__atomic_store_n(&vm->stop, true, __ATOMIC_RELAXED);
			break;
		}
		memcpy(&sum, vm->run->mmio.data, sizeof(sum));
		vm->good &= sum == expected;
		__atomic_add_fetch(&vm->rounds, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static struct vm vm;

static bool came_to_or_stopped(size_t wanted)
{
	return __atomic_load_n(&vm.rounds, __ATOMIC_RELAXED) >= wanted ||
	       __atomic_load_n(&vm.stop, __ATOMIC_RELAXED);
}

/* Whether the virtual machine completes more rounds from now on */
static bool works(void)
{
	unsigned long wanted = __atomic_load_n(&vm.rounds, __ATOMIC_RELAXED) + ROUNDS;

	return wait_for(came_to_or_stopped, wanted) && vm.rounds >= wanted;
}

int main(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	struct memory_state before;
	struct ranges ranges;
	pthread_t thread;
	size_t found;
	bool worked, intact;

	begin();
	if (kvm < 0)
		ksft_exit_skip("/dev/kvm: %s\n", strerror(errno));

	ksft_set_plan(4);
	load_hotplug_range();
	online_as("online_movable");
	before = memory_state();
	ranges = plug(1);
	make_vm(&vm, kvm);
	found = pages_in(vm.memory, VM_SIZE, &ranges);
	if (pthread_create(&thread, NULL, run_vm, &vm))
		die("no thread");
	worked = works();
	ksft_test_result(worked && found >= VM_PAGES / 2,
			 "%zu of %lu pages of a virtual machine at work are in the new memory\n",
			 found, VM_PAGES);
	unplug();
	ksft_test_result(removed(&before), "it is removed\n");
	worked = works();
	ksft_test_result(worked && !pages_in(vm.memory, VM_SIZE, &ranges),
			 "the virtual machine works elsewhere\n");
	__atomic_store_n(&vm.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	intact = counts_are(&vm, vm.rounds) && verify(vm.memory, VM_SIZE - PAGE_SIZE);
	ksft_test_result(vm.good && intact,
			 "it has read what was there, and nothing that it wrote in %lu rounds is lost\n",
			 vm.rounds);
	ksft_finished();
}
