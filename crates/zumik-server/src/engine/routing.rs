//! Where the caller of a generation lets it go (contract `concepts.md`, "Agent hints").

use zumik_types::{ExecutionProfile, HintRouting};

use super::target::Target;
use super::{Failure, ProviderError};

/// The regions and execution profiles that a caller allows. It narrows the targets of a name and never adds one.
///
/// The placeholder is not narrowed: with it nothing goes to anyone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Routing(Vec<Allowed>);

/// What one source of hints allows.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Allowed {
    /// The only region.
    region: Option<String>,
    /// The only profiles; without any, all are.
    profiles: Vec<ExecutionProfile>,
}

impl Routing {
    /// Allows only what these hints allow, too.
    pub(crate) fn narrow_by(&mut self, hints: &HintRouting) {
        let profiles = hints.execution_profiles.iter().flatten();
        self.0.push(Allowed {
            region: hints.region_policy.as_deref().and_then(region),
            profiles: profiles.flat_map(|name| profiles_of(name)).collect(),
        });
    }

    /// Whether a provider in this region may be asked.
    pub(super) fn allows_region(&self, region: &str) -> bool {
        let allows = |only: &String| region.eq_ignore_ascii_case(only);
        self.0.iter().all(|allowed| allowed.region.as_ref().is_none_or(allows))
    }

    fn allows_profile(&self, profile: &ExecutionProfile) -> bool {
        self.0.iter().all(|allowed| allowed.profiles.is_empty() || allowed.profiles.contains(profile))
    }

    /// Whether a target may be asked.
    ///
    /// # Errors
    /// It may not: [`Failure::Region`] for its region, else [`ProviderError::NoTarget`].
    pub(super) fn permit(&self, target: &Target) -> Result<(), Failure> {
        if target.is_placeholder() {
            return Ok(());
        }
        if !self.allows_region(&target.region) {
            return Err(Failure::Region(target.region.to_string()));
        }
        if !self.allows_profile(&target.profile) {
            return Err(ProviderError::NoTarget.into());
        }
        Ok(())
    }

    /// The targets that may be asked.
    ///
    /// # Errors
    /// There are some and none may be: why not the first.
    pub(super) fn narrow(&self, targets: Vec<(Target, u32)>) -> Result<Vec<(Target, u32)>, Failure> {
        let (mut permitted, mut refused) = (Vec::with_capacity(targets.len()), None);
        for (target, weight) in targets {
            match self.permit(&target) {
                Ok(()) => permitted.push((target, weight)),
                Err(failure) => refused = refused.or(Some(failure)),
            }
        }
        match refused {
            Some(failure) if permitted.is_empty() => Err(failure),
            _ => Ok(permitted),
        }
    }
}

/// The region that a policy names: `eu_only` and `eu` are the same, `global` and `any` name none.
fn region(policy: &str) -> Option<String> {
    let policy = policy.to_ascii_lowercase();
    let region = policy.strip_suffix("_only").unwrap_or(&policy);
    (!matches!(region, "global" | "any" | "")).then(|| region.to_owned())
}

fn profiles_of(name: &str) -> Vec<ExecutionProfile> {
    match name {
        "byoc" => vec![ExecutionProfile::ByocDynamo, ExecutionProfile::ByocEpp],
        name => vec![name.into()],
    }
}

#[cfg(test)]
mod tests {
    use zumik_types::ExecutionMode;

    use super::super::ProviderFailure;
    use super::*;

    fn target(region: &str, profile: ExecutionProfile) -> (Target, u32) {
        let mode = ExecutionMode::Live;
        (Target { region: region.into(), profile, mode, ..Target::placeholder(None) }, 1)
    }

    fn regions(routing: &Routing, targets: &[(Target, u32)]) -> Result<Vec<String>, Failure> {
        let left = routing.narrow(targets.to_vec())?;
        Ok(left.into_iter().map(|(target, _)| target.region.to_string()).collect())
    }

    fn routing(hints: HintRouting) -> Routing {
        let mut routing = Routing::default();
        routing.narrow_by(&hints);
        routing
    }

    #[test]
    fn a_region_policy_leaves_the_targets_of_its_region() {
        use ExecutionProfile::ManagedProvider;
        let targets = [target("us", ManagedProvider), target("EU", ManagedProvider)];
        for (policy, left) in [
            ("us_only", &["us"][..]),
            ("us", &["us"]),
            ("eu_only", &["EU"]),
            ("EU", &["EU"]),
            ("global", &["us", "EU"]),
            ("any", &["us", "EU"]),
            ("", &["us", "EU"]),
        ] {
            let routing = routing(HintRouting::new().region_policy(policy));
            assert_eq!(regions(&routing, &targets).unwrap(), left, "{policy}");
        }
        let nowhere = routing(HintRouting::new().region_policy("ap_only"));
        assert!(matches!(regions(&nowhere, &targets), Err(Failure::Region(region)) if region == "us"));
        assert!(regions(&nowhere, &[]).unwrap().is_empty());
    }

    #[test]
    fn profiles_leave_the_targets_that_have_one_and_byoc_means_both_of_its() {
        let targets =
            [target("a", ExecutionProfile::ManagedProvider), target("b", ExecutionProfile::ByocEpp)];
        let routing = |names: &[&str]| routing(HintRouting::new().execution_profiles(names.iter().copied()));
        assert_eq!(regions(&routing(&["byoc"]), &targets).unwrap(), ["b"]);
        assert_eq!(regions(&routing(&["managed_provider", "byoc"]), &targets).unwrap(), ["a", "b"]);
        assert_eq!(regions(&routing(&[]), &targets).unwrap(), ["a", "b"]);
        let none = regions(&routing(&["subscription", "of_another_time"]), &targets);
        assert!(matches!(
            none,
            Err(Failure::Provider(ProviderFailure { error: ProviderError::NoTarget, .. }))
        ));
    }

    #[test]
    fn hints_of_two_sources_allow_what_both_allow() {
        let mut both = routing(HintRouting::new().region_policy("eu_only"));
        both.narrow_by(&HintRouting::new().region_policy("global").execution_profiles(["byok"]));
        let target = |region| target(region, ExecutionProfile::Byok);
        assert_eq!(regions(&both, &[target("us"), target("eu")]).unwrap(), ["eu"]);
        both.narrow_by(&HintRouting::new().region_policy("us_only"));
        assert!(regions(&both, &[target("us"), target("eu")]).is_err());
    }

    #[test]
    fn a_placeholder_is_not_narrowed() {
        let routing = routing(HintRouting::new().region_policy("us_only").execution_profiles(["byok"]));
        let placeholder = vec![(Target::placeholder(None), 100)];
        assert_eq!(routing.narrow(placeholder.clone()).unwrap(), placeholder);
    }
}
