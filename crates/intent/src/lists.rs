//! Lists and numbers that have a most.

use serde::Deserialize;

use crate::identifiers::Count;

/// A list of at most so many.
pub(crate) fn bounded<'de, D, T, const MOST: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Bounded<T, const MOST: usize>(std::marker::PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const MOST: usize> serde::de::Visitor<'de> for Bounded<T, MOST> {
        type Value = Vec<T>;

        fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(formatter, "a list of at most {MOST}")
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut sequence: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            while let Some(item) = sequence.next_element()? {
                if list.len() == MOST {
                    return Err(serde::de::Error::invalid_length(MOST + 1, &self));
                }
                list.push(item);
            }
            Ok(list)
        }
    }

    deserializer.deserialize_seq(Bounded::<T, MOST>(std::marker::PhantomData))
}

/// A number of at least one and at most so many.
pub(crate) fn at_most<'de, D: serde::Deserializer<'de>>(deserializer: D, most: u64, what: &str) -> Result<Count, D::Error> {
    let count = Count::deserialize(deserializer)?;
    if (1..=most).contains(&count.get()) { Ok(count) } else { Err(serde::de::Error::custom(format_args!("{what}: 1 to {most}"))) }
}
