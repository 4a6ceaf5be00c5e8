//! `reels gal plan`: what all candidates would take, by the few that were written.

use anyhow::{Result, anyhow, ensure};
use comfy_table::{Table, presets};
use indexmap::IndexMap;
use serde_json::json;

use super::rounds::{Done, Stage};
use crate::commands::Code;
use crate::error::Hint;
use crate::gal::generate::Progress;
use crate::publish::write_json;
use crate::run::timestamp;
use crate::score::wilson;

impl Stage<'_> {
    /// Says what all candidates would take, by those that were written.
    pub(super) fn forecast(&self, done: &Done) -> Result<Code> {
        let sum =
            |of: &dyn Fn(&Progress) -> usize| done.progress.iter().map(|(progress, _)| of(progress)).sum::<usize>();
        let (asked, passed) = (sum(&|progress| progress.asked), sum(&|progress| progress.accepted));
        ensure!(asked > 0, anyhow!("nothing was written to tell by").hint("give --preview 1 or more"));
        let classes = self.wish.classes().len();
        let (wanted, cap) = ((classes * self.wish.accepted) as f64, (classes * self.wish.candidates) as f64);
        let rate = wilson(passed as f64 / asked as f64, asked as f64);
        // A higher yield takes fewer candidates.
        let needed = [rate.value, rate.high, rate.low].map(|rate| (wanted / rate).ceil().min(cap));
        let of_each = |total: usize| total as f64 / asked as f64;
        let seconds = (done.now.0 > 0).then(|| done.now.1 / done.now.0 as f64);
        let price = self.settings.predict.hosted.price;
        let [read, wrote] = done.tokens.map(of_each);
        let cost = price.map(|price| price.of((read * 1e6) as u64, 0, (wrote * 1e6) as u64) / 1e6);
        let mut rows =
            vec![("candidates", Some(1.0), 0), ("tokens read", Some(read), 0), ("tokens written", Some(wrote), 0)];
        rows.extend([("minutes", seconds.map(|seconds| seconds / 60.0), 1), ("cost", cost, 4)]);
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        let of_all = format!("{wanted:.0} that pass");
        table.set_header(["what", &format!("{asked} written"), &of_all, "95 % by the yield"]);
        for (name, each, decimals) in &rows {
            let Some(each) = each else { continue };
            let shown = |count: f64| format!("{:.*}", *decimals, count * each);
            let range = format!("{} – {}", shown(needed[1]), shown(needed[2]));
            table.add_row([(*name).to_owned(), shown(asked as f64), shown(needed[0]), range]);
        }
        outln!("{table}");
        outln!(
            "{passed} of {asked} pass the filters for texts: {:.2} ({:.2} – {:.2}); a teacher rejects some more",
            rate.value,
            rate.low,
            rate.high
        );
        if needed[0] >= cap {
            errln!("warning: --candidates {} of a label end it before enough pass", self.wish.candidates);
        }
        let each: IndexMap<&str, Option<f64>> = rows.iter().map(|(name, each, _)| (*name, *each)).collect();
        let plan = json!({
            "v": 1, "made_at": timestamp(), "written": asked, "passed": passed, "yield": [rate.low, rate.value, rate.high],
            "wanted": wanted, "candidates": [needed[1], needed[0], needed[2]], "of_each": each,
        });
        let path = self.settings.output.join("plan.json");
        write_json(&path, &plan)?;
        errln!("plan: {}; what was written is kept, and `reels gal generate` goes on from there", path.display());
        Ok(Code::Done)
    }
}
