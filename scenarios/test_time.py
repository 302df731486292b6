"""Time labs: kernel/labs/time/time.c. Ticks, sleeps and the watchdog, held against CNTPCT_EL0."""

from harness.scenario import Case, Control, Scenario, Walk

FROM_NOW = Control("now=1", "caught by=cntpct")
ENDLESS = Control("protect=-watchdog", "no-end")

SCENARIOS = [
    Scenario("time.tick", verdict="ok", controls=(FROM_NOW,)),
    Scenario("time.masked", verdict="ok", controls=(FROM_NOW,)),
    Scenario(
        "time.sleep",
        verdict="ok",
        uncontrolled="a sleep has no switch; one that is a tick longer is caught by=cntpct",
    ),
    Scenario(
        "time.stopped",
        args="watchdog=50",
        verdict="hang by=no-tick",
        controls=(
            Control("protect=-idle-tick", "hang by=watchdog", at="idle"),
            Control("stop=0", "ok"),
        ),
    ),
    *(
        Scenario(
            "time.hang",
            args=f"watchdog=20 in={place}",
            name=f"hang-{place}",
            verdict="hang by=watchdog",
            gdb_view=True,
            controls=(ENDLESS,),
        )
        for place in ("handler", "idle", "user")
    ),
    # 50 ms, and the 4 that the reports took: the watchdog stood still. The control bounds the rest.
    Scenario(
        "time.killed",
        args="watchdog=50 on-fault=kill",
        verdict="hang by=watchdog",
        aborts=2,
        gdb_view="GDB's first look would be at a kill, and the golden's is at the hang",
        controls=(ENDLESS,),
    ),
    # The same without a kill: crash.hang, boot.light-hang.
    Scenario(
        "time.killed",
        args="watchdog=50 on-fault=kill slow=0",
        name="killed-fast",
        verdict="hang by=watchdog",
        aborts=2,
        gdb_view="as above",
        controls=(ENDLESS,),
    ),
]


def test_time(case: Case, walk: Walk) -> None:
    walk(case)
