fn main() -> std::process::ExitCode {
    lifeboat::cli::run(std::env::args_os())
}
