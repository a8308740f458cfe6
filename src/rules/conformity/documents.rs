//! What the consent versions of a product and the signals about it show.

use std::collections::BTreeSet;

use crate::{
    pb::{self, ConsentItemKind, SignalAction, record::Kind},
    rules::{catalogue::ConsentVersion, follow_up::signals, question::Seen},
};

use super::{
    Conformity, Of,
    product::named,
    tally::{reasons, shown},
};

/// The items of a consent document, and the obligations that ask for them.
const ITEMS: [(usize, ConsentItemKind, &str); 8] = [
    (19, ConsentItemKind::Risks, "I1, foreseeable risks"),
    (20, ConsentItemKind::Purpose, "I2, purpose"),
    (20, ConsentItemKind::Procedures, "I3, procedures"),
    (20, ConsentItemKind::Duration, "I4, duration"),
    (20, ConsentItemKind::VisitInterval, "I5, visit interval"),
    (21, ConsentItemKind::Contacts, "I6, contacts"),
    (22, ConsentItemKind::Samples, "I7, samples"),
    (22, ConsentItemKind::GeneticTesting, "I8, genetic testing"),
];

impl Conformity<'_> {
    pub(super) fn see_documents(&mut self) {
        self.items();
        self.signals();
    }

    ///
    fn items(&mut self) {
        let catalogue = self.catalogue;
        let product_id = self.product.product.product_id.as_str();
        let versions: Vec<&ConsentVersion> = catalogue.families.values().flatten().collect();
        for (said, document) in versions.iter().flat_map(|version| &version.documents) {
            let is_own = document.product_ids.is_empty()
                || document.product_ids.iter().any(|own| own == product_id);
            // A partner's consent to a pregnancy's follow-up is another document.
            if !is_own || document.audience() == pb::ConsentAudience::Partner {
                continue;
            }
            for number in 19..=22 {
                self.tally(number).look_at(said);
            }
            self.missing_items(said, document);
        }
    }

    fn missing_items(&mut self, said: &Seen, document: &pb::ConsentDocumentVersion) {
        let has: BTreeSet<ConsentItemKind> =
            document.items.iter().map(pb::ConsentItem::item).collect();
        for (number, item, name) in ITEMS {
            if !has.contains(&item) {
                let reason = format!("the document lacks {name}");
                self.tally(number).except(named(said), reason, shown(said));
            }
        }
    }

    /// for the documents; patients who have not signed are told one by one.
    fn signals(&mut self) {
        let catalogue = self.catalogue;
        let on = self.on;
        let product_id = self.product.product.product_id.clone();
        for fact in &catalogue.others {
            let Some(Kind::RiskSignal(signal)) = fact.kind() else {
                continue;
            };
            if signal.changes_risk == Some(true) && self.is_affected(signal) {
                self.tally(23).look_at(fact);
                self.tally(27).look_at(fact);
            }
        }
        for open in signals::open(catalogue, on) {
            if !open.products.contains(&product_id) {
                continue;
            }
            for (number, action, what) in [
                (23, SignalAction::Consent, "consent version"),
                (27, SignalAction::Plan, "plan version"),
            ] {
                if open.missing.contains(&action) {
                    let late = match open.due {
                        Some(due) if due < on => format!(", due {due}"),
                        Some(_) | None => String::new(),
                    };
                    let reason = format!(
                        "no {what} and no decision that none is needed, {} days on{late}",
                        open.days_open
                    );
                    let of = Of::Document(format!("signal {}", open.signal_id));
                    self.tally(number).except(of, reason, reasons(&open.why));
                }
            }
        }
    }

    /// Whether a signal names the product, by itself, by its class or by a GTIN of its lots.
    pub(super) fn is_affected(&self, signal: &pb::RiskSignal) -> bool {
        let product = &self.product.product;
        signal.product_ids.contains(&product.product_id)
            || signal
                .product_classes()
                .any(|class| product.product_classes().any(|own| own == class))
            || signal
                .lots
                .iter()
                .any(|lot| product.gtins.contains(&lot.gtin))
    }
}
