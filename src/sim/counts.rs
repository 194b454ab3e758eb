//! Structs that count things by name, so that a test can ask which of them never happened.

/// Declares a struct of counts: each field is one, and its name is the count's name.
macro_rules! counts {
    ($(#[$outer:meta])* pub struct $name:ident { $($(#[$inner:meta])* $field:ident,)* }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name {
            $($(#[$inner])* pub $field: u64,)*
        }

        impl $name {
            /// How many counts there are.
            pub const COUNT: usize = [$(stringify!($field)),*].len();

            /// Adds what another run counted.
            pub fn add(&mut self, other: &Self) {
                $(self.$field += other.$field;)*
            }

            /// Each count with its name.
            #[must_use]
            pub fn fields(&self) -> [(&'static str, u64); Self::COUNT] {
                [$((stringify!($field), self.$field)),*]
            }
        }
    };
}

pub(super) use counts;
