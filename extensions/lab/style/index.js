// The sheets by a loader of our own alone, which is a line where the usual ones are five kilobytes.
import '!!../short-styles.js!./base.css';
import '!!../short-styles.js!./pipeline.css';
import '!!../short-styles.js!./experiments.css';
import '!!../short-styles.js!./explain.css';
import '!!../short-styles.js!./recording.css';
