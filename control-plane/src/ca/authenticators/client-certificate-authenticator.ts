import { AuthenticationError, type Authenticator, type Caller, type Credentials } from './authenticator.ts'

/** Lets the holder of a valid certificate renew it: the identity stays the same. */
export class ClientCertificateAuthenticator implements Authenticator {
  claims({ bearer, peerIdentity }: Credentials): boolean {
    return bearer === undefined && peerIdentity !== undefined
  }

  async authenticate({ peerIdentity }: Credentials): Promise<Caller> {
    if (!peerIdentity) throw new AuthenticationError('no client certificate')
    return { spiffeId: peerIdentity.spiffeId, method: 'client_certificate' }
  }
}
