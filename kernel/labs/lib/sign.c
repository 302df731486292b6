/* See sign.h. */
#include "labs/lib/sign.h"

#include "arch/sysreg.h"
#include "base/protect.h"
#include "proc/sched.h"
#include "report/report.h"

#define ID_AA64ISAR2_EL1 S3_0_C0_C6_2
#define APIAKEYLO_EL1 S3_0_C2_C1_0
#define APIAKEYHI_EL1 S3_0_C2_C1_1
#define SCTLR_ENIA (1UL << 31)

static bool cpu_signs(void)
{
	/* APA, API and, in ISAR2, APA3: one for each cipher. */
	return sysreg_read(id_aa64isar1_el1) >> 4 & 0xff ||
	       sysreg_read(ID_AA64ISAR2_EL1) >> 12 & 0xf;
}

void sign_returns(void)
{
	if (!cpu_signs())
		end("bad-args why=no-pac : this CPU does not sign; boot with -cpu max");
	if (!protected(PROTECT_PAC))
		return;
	sysreg_write(APIAKEYLO_EL1, sched_canary());
	sysreg_write(APIAKEYHI_EL1, sched_canary());
	sysreg_write(sctlr_el1, sysreg_read(sctlr_el1) | SCTLR_ENIA);
	isb();
}
