//! `zumik chat`: a conversation on a terminal, or one answer for a prompt.

mod answer;
mod talk;

use std::io::{self, IsTerminal as _};
use std::path::Path;

use zumik_client::Zumik;
use zumik_client::types::{ChatMessage, SessionId};

use self::answer::Answer;
use crate::args::ChatArgs;
use crate::client::client;
use crate::failure::Failure;
use crate::input;
use crate::logging::{self, Log};
use crate::term;

/// What every call of a chat has in common.
struct Chat {
    zk: Zumik,
    model: String,
    system: Option<String>,
    session: Option<SessionId>,
}

impl Chat {
    fn new(args: &ChatArgs) -> Result<Self, Failure> {
        let session = args
            .session
            .as_ref()
            .map(|id| id.parse())
            .transpose()
            .map_err(|error| Failure::usage(format_args!("--session: {error}")))?;
        let zk = client(&args.client)?;
        Ok(Self { zk, model: args.model.clone(), system: args.system.clone(), session })
    }

    /// What a conversation begins with.
    fn opening(&self) -> Vec<ChatMessage> {
        self.system.as_deref().map(ChatMessage::system).into_iter().collect()
    }
}

pub(crate) async fn run(args: ChatArgs, log: Log) -> Result<(), Failure> {
    logging::start(log, "error", None)?;
    let chat = Chat::new(&args)?;
    match prompt(args.prompt)? {
        Some(prompt) => once(&chat, prompt, args.json).await,
        None if args.json => Err(Failure::usage("--json is for one answer; give a PROMPT, or pipe one in")),
        None if io::stdout().is_terminal() => talk::talk(&chat).await,
        None => Err(Failure::usage(
            "a conversation needs a terminal to be shown on; for one answer give a PROMPT, or pipe one in",
        )),
    }
}

/// The prompt of one answer: the argument, and the text that is piped in after it. None for a conversation.
fn prompt(argument: Option<String>) -> Result<Option<String>, Failure> {
    let piped = match io::stdin().is_terminal() {
        true => None,
        false => Some(
            input::read(Path::new("-"))
                .map_err(|error| Failure::failed(format_args!("cannot read standard input: {error}")))?,
        ),
    };
    let piped = piped.map(|text| text.trim_end().to_owned());
    let prompt = match (argument, piped) {
        (Some(argument), Some(piped)) if !piped.is_empty() => Some(format!("{argument}\n\n{piped}")),
        (Some(argument), _) => Some(argument),
        (None, piped) => piped,
    };
    match prompt {
        Some(prompt) if prompt.trim().is_empty() => {
            Err(Failure::usage("the prompt is empty; give a PROMPT, or pipe one in"))
        }
        other => Ok(other),
    }
}

/// One answer. Ctrl-C ends the command, and with it the connection, at which the server stops.
async fn once(chat: &Chat, prompt: String, json: bool) -> Result<(), Failure> {
    let mut messages = chat.opening();
    messages.push(ChatMessage::user(prompt));
    let answer = Answer::to(chat, &messages).await?;
    match json {
        true => {
            let (completion, told) = answer.silently().await?;
            term::print_json(&completion)?;
            told.report();
        }
        false => answer.show().await?.1.report(),
    }
    Ok(())
}
