//! Who is who: the door asks the records whose an access key or a certificate is.

use ironbark_wsdl::Context;
use ironbark_wsdl::trace::now_micros;

use crate::cloud::Cloud;
use crate::error::Ec2Error;
use crate::front::{AccessKey, Answered, Caller, Credential, Directory};
use crate::store::{AnsweredRequest, Member};

fn caller(member: Member, credential: Credential) -> Caller {
    Caller {
        account: member.user.account,
        account_name: member.account_name,
        user: member.user.name,
        user_id: member.user.id,
        role: member.role,
        credential,
    }
}

impl Directory for Cloud {
    async fn access_key(&self, id: &str) -> Result<Option<AccessKey>, Ec2Error> {
        let found = self.store.access_key(id.to_string()).await?.filter(|(key, _)| key.active);
        Ok(found.map(|(key, member)| AccessKey {
            secret: key.secret,
            caller: caller(member, Credential::AccessKey(key.id)),
        }))
    }

    async fn certificate(&self, fingerprint: &str) -> Result<Option<Caller>, Ec2Error> {
        let found = self.store.certificate(fingerprint.to_string()).await?.filter(|(found, _)| found.active);
        Ok(found.map(|(found, member)| caller(member, Credential::Certificate(found.fingerprint))))
    }

    fn answered(&self, ctx: &Context, answered: Answered<'_>) {
        let Answered { caller, action, global, outcome, took } = answered;
        let duration = i64::try_from(took.as_micros()).unwrap_or(i64::MAX);
        self.answered.note(AnsweredRequest {
            id: ctx.request.to_string(),
            global: global.map(ToString::to_string),
            account: caller.account.clone(),
            user: caller.user.clone(),
            action: action.to_string(),
            outcome: outcome.to_string(),
            received: now_micros() - duration,
            duration,
        });
    }
}
