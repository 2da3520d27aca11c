//! How a reader takes a file up, and keeps up with what becomes of it: alterations, copies, removal.

use std::time::Duration;

use sqlx::SqliteConnection;

use super::event::label;
use super::file::{self, Prepared};
use super::position::Position;
use super::reader::{Failure, Open, Reader, Seen};
use super::schema::{Lookup, Schema, look_up};
use super::table::schema_version;
use crate::store::StoreError;

impl Reader {
    /// Opens the file and sees to our tables and triggers in it. False if the table is not there.
    pub(super) async fn open_file(&mut self) -> Result<bool, Failure> {
        let Some(identity) = self.identity() else { return Ok(false) };
        let mut connection = file::connect(&self.spec.sqlite, Duration::ZERO).await?;
        // Before anything is looked up: what changes meanwhile, by our own triggers too, is looked up once more.
        let schema_version = schema_version(&mut connection).await?;
        let schema = match look_up(&mut connection, &self.spec).await? {
            Lookup::Found(schema) => *schema,
            Lookup::Unfit(why) => return Err(Failure::Words(why)),
            Lookup::Missing => {
                self.say(
                    "warning",
                    format!(
                        "{} has no table `{}`; it is taken up when it is there",
                        self.spec.sqlite.display(),
                        self.spec.name
                    ),
                );
                return Ok(false);
            }
        };
        let prepared = self.prepare(&mut connection).await?;
        let position = self.position(&prepared.token).await?;
        self.remark(&schema);
        file::install(&mut connection, &schema.subject, position.seq).await?;
        let untrimmed = usize::from(position.seq > 0);
        self.said.clear();
        self.open = Some(Open {
            connection,
            identity,
            schema,
            schema_version,
            position,
            is_table_there: true,
            untrimmed,
        });
        Ok(true)
    }

    async fn prepare(&mut self, connection: &mut SqliteConnection) -> Result<Prepared, Failure> {
        let token = hex::encode(&self.ground.random.bytes()[..16]);
        let prepared = file::prepare(connection, &self.owner, &token).await.map_err(|refusal| match refusal {
            file::Refusal::Sqlite(error) => Failure::Sqlite(error),
            file::Refusal::Owned(other) => Failure::Words(format!(
                "its changes are read by the dropwire whose state is {}; use that one, or stop it and run \
                 `dropwire table detach {}`",
                other.state,
                self.spec.sqlite.display()
            )),
        })?;
        if let Some(other) = &prepared.taken_over_from {
            let file = self.spec.sqlite.display();
            self.say(
                "info",
                format!(
                    "the changes in {file} were read into the state {}, which is no more; now they are ours",
                    other.state
                ),
            );
        }
        Ok(prepared)
    }

    async fn position(&self, token: &str) -> Result<Position, StoreError> {
        let names = (self.source.as_str(), self.spec.name.as_str());
        let position =
            Position::load(&self.ground.store, names, token, &label(self.ground.clock.now())).await?;
        self.ground.outlet.emit_with(Vec::new(), position.writes()).await?;
        Ok(position)
    }

    fn remark(&mut self, schema: &Schema) {
        for remark in &schema.remarks {
            self.say("warning", remark.clone());
        }
    }

    /// The schema changed: sees whether the table is there and its triggers are those it needs.
    pub(super) async fn refresh(&mut self) -> Result<(), Failure> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        let done = self.refresh_open(&mut open).await;
        self.open = Some(open);
        done
    }

    async fn refresh_open(&mut self, open: &mut Open) -> Result<(), Failure> {
        // As above.
        let version = schema_version(&mut open.connection).await?;
        let (file, name) = (self.spec.sqlite.display().to_string(), self.spec.name.clone());
        match look_up(&mut open.connection, &self.spec).await? {
            Lookup::Found(schema) => {
                let is_back = !open.is_table_there;
                let changed = file::install(&mut open.connection, &schema.subject, open.position.seq).await?;
                if is_back || open.schema != *schema {
                    self.remark(&schema);
                }
                if is_back {
                    self.say(
                        "info",
                        format!(
                            "table `{name}` is in {file} again; what happened to it before this was not seen"
                        ),
                    );
                } else if changed && open.schema != *schema {
                    self.say("info", format!("the columns or indexes of table `{name}` in {file} changed; its triggers were made anew"));
                } else if changed {
                    self.say("info", format!("the triggers of table `{name}` in {file} were made anew"));
                }
                open.is_table_there = true;
                open.schema = *schema;
                self.said.clear();
            }
            unusable => {
                if open.is_table_there {
                    let why = match unusable {
                        Lookup::Unfit(why) => {
                            format!("table `{name}` in {file} cannot be watched any more: {why}")
                        }
                        _ => format!(
                            "table `{name}` in {file} was dropped or renamed; it is taken up again when it is back"
                        ),
                    };
                    self.say("warning", why);
                    file::remove_triggers(&mut open.connection, &name).await?;
                }
                open.is_table_there = false;
            }
        }
        open.schema_version = version;
        Ok(())
    }

    /// The log does not go on from where we were: an older copy of the file, or it was made anew.
    pub(super) async fn begin_again(&mut self) -> Result<(), Failure> {
        let Some(open) = &mut self.open else { return Ok(()) };
        if file::token(&mut open.connection).await? != Some(open.position.file.clone()) {
            // Another file's content under the same inode.
            self.close().await;
            self.open_file().await?;
            return Ok(());
        }
        open.position.begin_again();
        self.ground.outlet.emit_with(Vec::new(), open.position.writes()).await?;
        let file = self.spec.sqlite.display();
        let text = format!(
            "{file} is not as it was left, but an earlier copy of it; going on with the changes that are in its log"
        );
        self.say("warning", text);
        Ok(())
    }

    pub(super) async fn detached(&mut self) -> Seen {
        self.close().await;
        let text = format!(
            "our change log was taken out of {}; changes of table `{}` are no longer seen until dropwire is started again",
            self.spec.sqlite.display(),
            self.spec.name
        );
        self.say("warning", text);
        Seen::Detached
    }
}
