import { Toaster } from "sonner";
import "sonner/dist/styles.css";
import { usePrefs } from "@/lib/prefs";

/** Short notices that something was done. Errors never only appear here: they stand where they arose. */
export default function Notices() {
  usePrefs();
  const theme = document.documentElement.dataset.theme === "dark" ? "dark" : "light";
  return <Toaster theme={theme} position="bottom-center" closeButton visibleToasts={3} />;
}
