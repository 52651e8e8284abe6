//! The list of a contract's operations, written once and in plain sight in [`crate::nc`],
//! [`crate::cc`] and [`crate::ironbark`]. The macro only repeats: it implements the traits of
//! [`crate::service`] for each line and decides nothing.

/// `operations! { Service::Nc, status: none, RunInstance => RunInstanceResponse "ncRunInstance" }`
/// implements Wire, Message, Request and Response, and makes `OPERATIONS`. `status` says whether
/// the contract's `statusMessage` has room for text.
macro_rules! operations {
    ($service:expr, status: $status:ident, $($request:ident => $response:ident $name:literal,)*) => {
        /// The operations of this contract, in the order of its WSDL.
        pub const OPERATIONS: &[&str] = &[$($name),*];

        $(
            $crate::marshal::operations!(@message $request, $service, $name);
            $crate::marshal::operations!(@message $response, $service, concat!($name, "Response"));

            impl $crate::service::Request for $request {
                const NAME: &'static str = $name;
                const SERVICE: $crate::service::Service = $service;
                type Response = $response;
            }

            impl $crate::service::Response for $response {
                fn accepted(&self) -> Option<bool> {
                    self.accepted
                }

                fn accept(&mut self, accepted: bool) {
                    self.accepted = Some(accepted);
                }

                $crate::marshal::operations!(@status $status);
            }
        )*
    };

    (@message $message:ident, $service:expr, $element:expr) => {
        impl $crate::marshal::Wire for $message {
            const ELEMENT: &'static str = $element;
            const CONTRACT: $crate::service::Service = $service;
        }

        impl $crate::service::Message for $message {
            fn correlation_id(&self) -> Option<&str> {
                self.correlation_id.as_deref()
            }

            fn user_id(&self) -> Option<&str> {
                self.user_id.as_deref()
            }

            fn stamp(&mut self, correlation_id: Option<&str>, user_id: Option<&str>) {
                self.correlation_id = correlation_id.map(str::to_string);
                self.user_id = user_id.map(str::to_string);
            }
        }
    };

    (@status none) => {
        fn status(&self) -> Option<&str> {
            None
        }

        fn refused(_reason: &str) -> Self {
            Self { accepted: Some(false), ..Self::default() }
        }
    };

    (@status text) => {
        fn status(&self) -> Option<&str> {
            self.status_message.as_deref()
        }

        fn refused(reason: &str) -> Self {
            let reason = $crate::marshal::legible(reason).into_owned();
            Self { accepted: Some(false), status_message: Some(reason), ..Self::default() }
        }
    };
}

pub(crate) use operations;
