//! What modules write to their logs in the language of the server: codes, names and `errno=` stay, the words change
//! (facts.md, Logs). The sentences are the simulator's own where no document has them.

/// The language of a server, `logLanguage` in `simulator.conf`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Language {
    #[default]
    English,
    French,
}

impl Language {
    /// `fr`; anything else is English.
    pub(crate) fn named(name: &str) -> Self {
        if name == "fr" { Self::French } else { Self::English }
    }

    fn choose(self, english: String, french: String) -> String {
        match self {
            Self::English => english,
            Self::French => french,
        }
    }

    pub(crate) fn starting(self, module: &str, pid: u32) -> String {
        self.choose(
            format!("Starting module {module} (pid={pid})"),
            format!("Démarrage du module {module} (pid={pid})"),
        )
    }

    pub(crate) fn stopping(self, module: &str, pid: u32) -> String {
        self.choose(format!("Stopping module {module} (pid={pid})"), format!("Arrêt du module {module} (pid={pid})"))
    }

    pub(crate) fn running(self) -> String {
        self.choose("Running".to_owned(), "En cours d'exécution".to_owned())
    }

    pub(crate) fn succeeded(self, utility: &str) -> String {
        self.choose(format!("The {utility} has ended"), format!("La commande {utility} est terminée"))
    }

    pub(crate) fn failed(self, utility: &str) -> String {
        self.choose(
            format!("INT-150012 The {utility} has failed (iRc=16384)"),
            format!("INT-150012 La commande {utility} a échoué (iRc=16384)"),
        )
    }

    pub(crate) fn session_error(self) -> String {
        self.choose(
            "Unable to open the session: xtk:session error".to_owned(),
            "Impossible d'ouvrir la session : erreur xtk:session".to_owned(),
        )
    }

    /// A rename from one device to another: only the name of the error number is the same in every language.
    pub(crate) fn cross_device(self) -> String {
        let (from, to) = ("/tmp/upload.tmp", "/usr/local/neolane/nl6/var/upload");
        self.choose(
            format!("Unable to rename file '{from}' to '{to}' : Invalid cross-device link"),
            format!("Impossible de renommer le fichier '{from}' en '{to}' (errno=18, Lien croisé entre périphériques)"),
        )
    }

    /// What one user's failed login leaves: an expired session, a wrong password, an address that is not allowed.
    pub(crate) fn login_faults(self) -> [String; 3] {
        match self {
            Self::English => [
                "XSV-350008 Session has expired or is invalid. Please log in again.",
                "XSV-350012 Invalid login or password. Connection denied.",
                "XSV-350013 The address 192.0.2.7 is not allowed for this user.",
            ],
            Self::French => [
                "XSV-350008 La session est expirée ou invalide. Veuillez vous reconnecter.",
                "XSV-350012 Identifiant ou mot de passe invalide. Connexion refusée.",
                "XSV-350013 L'adresse 192.0.2.7 n'est pas autorisée pour cet utilisateur.",
            ],
        }
        .map(str::to_owned)
    }
}
