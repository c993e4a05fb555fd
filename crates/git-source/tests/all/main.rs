//! Tests of the crate as its users see it.

#[cfg(test)]
mod access;
#[cfg(test)]
mod backend;
#[cfg(test)]
mod cases;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod history;
#[cfg(test)]
mod merging;
#[cfg(test)]
mod pushing;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod served;
#[cfg(test)]
mod shown;
#[cfg(test)]
mod signatures;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod with_git;
