//! A sub-client: a struct that borrows the client, one method an operation, and the method that gives it.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use super::docs::{self, CommonErrors};
use super::endpoint::{Argument, Endpoint};
use crate::codegen::docs::Doc;
use crate::codegen::names;

pub(super) fn sub_client(
    path: &[&str],
    description: &str,
    children: &[(&str, &str)],
    endpoints: &[Endpoint<'_>],
    common: &CommonErrors,
) -> TokenStream {
    let own = path.last().copied().unwrap_or_default();
    let name = format_ident!("{}", names::sub_client(own));
    let getter = format!("{}()", path.join("()."));
    let doc = Doc::description(description).and(format!("Made by `zk.{getter}`.")).outer();
    let methods = endpoints.iter().map(|endpoint| method(endpoint, common));
    let getters = children.iter().map(|(child, description)| {
        let (getter, ty) = (format_ident!("{child}"), format_ident!("{}", names::sub_client(child)));
        let doc = Doc::description(description).outer();
        quote! {
            #doc
            pub fn #getter(&self) -> #getter::#ty<'c> {
                #getter::#ty { client: self.client }
            }
        }
    });
    let root = (path.len() == 1).then(|| {
        let getter = format_ident!("{own}");
        let doc = Doc::description(description).outer();
        quote! {
            impl Zumik {
                #doc
                pub fn #getter(&self) -> #name<'_> {
                    #name { client: self }
                }
            }
        }
    });
    quote! {
        #root

        #doc
        #[derive(Debug, Clone, Copy)]
        pub struct #name<'c> {
            pub(crate) client: &'c Zumik,
        }

        impl<'c> #name<'c> {
            #(#getters)*
            #(#methods)*
        }
    }
}

fn method(endpoint: &Endpoint<'_>, common: &CommonErrors) -> TokenStream {
    let doc = docs::method(endpoint.operation, common).outer();
    let method = format_ident!("{}", endpoint.operation.client_method);
    let name = &endpoint.name;
    let arguments = endpoint.arguments();
    let parameters = arguments.iter().map(|Argument { name, ty }| quote!(#name: #ty));
    let values = arguments.iter().map(|Argument { name, .. }| name);
    quote! {
        #doc
        pub fn #method(&self, #(#parameters),*) -> Call<'c, #name> {
            Call::new(self.client, #name::new(#(#values),*))
        }
    }
}
