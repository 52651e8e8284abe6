//! Who is who: the door asks the records whose an access key or a certificate is.

use ironbark_wsdl::Context;
use ironbark_wsdl::trace::now_micros;

use crate::cloud::Cloud;
use crate::error::Ec2Error;
use crate::front::{AccessKey, Account, Directory};
use crate::store::{AnsweredRequest, User};

fn account(user: User) -> Account {
    Account { user: user.name, admin: user.admin }
}

impl Directory for Cloud {
    async fn access_key(&self, id: &str) -> Result<Option<AccessKey>, Ec2Error> {
        let found = self.store.access_key(id.to_string()).await?;
        Ok(found.map(|(key, user)| AccessKey { secret: key.secret, account: account(user) }))
    }

    async fn certificate(&self, fingerprint: &str) -> Result<Option<Account>, Ec2Error> {
        Ok(self.store.certificate(fingerprint.to_string()).await?.map(|(_, user)| account(user)))
    }

    fn answered(&self, ctx: &Context, action: &str, outcome: &str, duration: std::time::Duration) {
        let duration = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        self.answered.note(AnsweredRequest {
            id: ctx.request.to_string(),
            user: ctx.user.clone(),
            action: action.to_string(),
            outcome: outcome.to_string(),
            received: now_micros() - duration,
            duration,
        });
    }
}
