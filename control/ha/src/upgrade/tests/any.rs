//! Any faults at any time: it ends, and both modules run one image.

use proptest::prelude::*;

use super::*;
use crate::slot::ModuleSlot;

fn quality() -> impl Strategy<Value = Quality> {
    prop_oneof![
        4 => Just(Quality::Good),
        1 => Just(Quality::CrashesAtStart),
        1 => Just(Quality::NeverReady),
        2 => (1u64..200).prop_map(Quality::PanicsAfter),
        1 => Just(Quality::Drops),
        1 => Just(Quality::MovesProtocols),
        1 => Just(Quality::DoesNotInstall),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn it_ends_with_one_image_in_both_slots(
        quality in quality(),
        conservative in any::<bool>(),
        accept in prop_oneof![Just(0u32), Just(5), Just(30)],
        faults in proptest::collection::vec((0u64..150, 0u8..6), 0..6),
    ) {
        let mode = if conservative { Mode::Conservative } else { Mode::Standard };
        let mut switch = Switch::new(quality);
        switch.begin(mode, accept);
        for (ticks, fault) in faults {
            switch.run(ticks);
            let slot = if fault % 2 == 0 { ModuleSlot::MsmA } else { ModuleSlot::MsmB };
            match fault {
                // Between the journal and the action.
                4 => {
                    let _ = switch.plan();
                    if let Some(master) = switch.master() {
                        switch.kill(master);
                    }
                }
                5 => for slot in ModuleSlot::BOTH {
                    switch.kill(slot);
                },
                _ => switch.kill(slot),
            }
        }
        for _ in 0..4 {
            if switch.run_to(Step::Done) {
                break;
            }
        }
        switch.run(50);
        let journal = switch.journal();
        prop_assert_eq!(journal.step, Step::Done, "{:#?}", journal);
        let image = match journal.outcome {
            Some(Outcome::Accepted) => &journal.to,
            Some(Outcome::RolledBack) => &journal.from,
            // A new image that panics again and again, and faults on top of that.
            Some(Outcome::Stuck) => return Ok(()),
            _ => return Err(TestCaseError::fail("no outcome")),
        };
        for slot in ModuleSlot::BOTH {
            prop_assert_eq!(switch.slots[&slot].selected, image.bank, "{:#?}", journal);
            if !matches!(quality, Quality::PanicsAfter(_)) {
                prop_assert_eq!(switch.bank_of(slot), Some(image.bank), "{:#?}", journal);
            }
        }
    }
}
